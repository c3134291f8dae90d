const NEEDED = 24;

/** What to tell the user of a Node that is too old; undefined when it is new enough. */
export function tooOld(version) {
  if (Number(version.split(".")[0]) >= NEEDED) return undefined;
  return `drover needs Node.js ${NEEDED} or newer, and this is ${version}: install a newer one, https://nodejs.org/`;
}
