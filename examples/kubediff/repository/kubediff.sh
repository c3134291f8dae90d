# Says on the change, as Markdown, what would be different in the cluster. Differences are no failure; trouble is.
. ./tools.sh
shyaml kubediff manifests --kubeconfig=kubeconfig --output=markdown --max-chars=60000 --exit-zero > report.md || exit 1
cat report.md
{
  echo "zuul:"
  echo "  comment: |2"
  sed 's/^/    /' report.md
} | shyaml json > "$DROVER_RESULT"
