/** Whether git takes it for the name of a ref. */
export function isRefName(name: string): boolean {
  return (
    name.length <= 1_000 &&
    /^[^/]+(?:\/[^/]+)+$/.test(name) &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: git forbids them.
    !/[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{|\.$|\.lock(?:\/|$)|(?:^|\/)\./.test(name)
  );
}
