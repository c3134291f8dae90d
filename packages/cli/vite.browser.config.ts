import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { PACKETS, PacketType } from "../protocol/src/packets.ts";

/**
 * `drover/browser` as a module without imports, for pages with a bundler and for those without, and beside it what is loaded
 * for servers that are reached by requests.
 */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [packetsInLittle()],
  build: {
    lib: {
      entry: resolve(import.meta.dirname, "src/browser.ts"),
      formats: ["es"],
      fileName: () => "browser.js",
    },
    outDir: "dist",
    // Beside what the compiler made.
    emptyOutDir: false,
    target: "es2024",
    // Of libraries Vite leaves the space in.
    rolldownOptions: {
      // What the part for requests shares with the rest stays in the rest.
      preserveEntrySignatures: "allow-extension",
      output: { minify: true, comments: false, chunkFileNames: "browser-requests.js" },
    },
  },
  // The parts for Node are looked at, and left out.
  logLevel: "error",
});

/**
 * The packet table with what sessions ask of it alone: names, how many arguments, and whether there is data. Numbers take the
 * place of `PacketType.NAME`.
 */
function packetsInLittle(): Plugin {
  return {
    name: "packets-in-little",
    enforce: "pre",
    load: (id) => (/protocol\/src\/packets\.ts$/.test(id) ? packetModule() : undefined),
    transform: (code) =>
      code.replace(/\bPacketType\.(\w+)/g, (_, name: string) => String(PacketType[name as keyof typeof PacketType])),
  };
}

function packetModule(): string {
  const rows = [];
  for (const { type, name, args, data } of PACKETS) rows[type] = `${name}${args.length}${data === undefined ? "" : "+"}`;
  // Without the gap before the numbers of extensions.
  const first = PacketType.SUBMIT_JOB_EXT;
  return `
    const byType = [];
    const read = (from, rows) => rows.split(" ").forEach((row, i) => {
      const [, name, count, data] = /(.*)(\\d)(\\+)?/.exec(row);
      byType[from + i] = { name, args: [..."12345678".slice(0, count)], data };
    });
    read(1, ${JSON.stringify(rows.slice(1, first).filter(Boolean).join(" "))});
    read(${first}, ${JSON.stringify(rows.slice(first).join(" "))});
    // Nobody asks for these two, so that they are left out.
    export const PacketType = ${JSON.stringify(PacketType)};
    export const PACKETS = ${JSON.stringify(PACKETS)};
    export const packetDefinition = (type) => byType[type];
    export const packetName = (type) => byType[type]?.name ?? "type " + type;
  `;
}
