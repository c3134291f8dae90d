import { resolve } from "node:path";
import { defineConfig, type Plugin } from "vite";
import { PACKETS, type PacketName, PacketType } from "../protocol/src/packets.ts";
import { Found } from "../protocol/src/stream.ts";

const CHUNKS: Readonly<Record<string, string>> = {
  "fetch-connection": "browser-requests.js",
  routing: "browser-routing.js",
};

/**
 * `drover/browser` as a module without imports, for pages with a bundler and for those without, and beside it what is loaded
 * for several servers, for those that are reached by requests, and by pages that trace.
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
      output: {
        minify: true,
        comments: false,
        chunkFileNames: ({ name }) => CHUNKS[name] ?? "[name].js",
        codeSplitting: {
          includeDependenciesRecursively: false,
          groups: [{ name: "browser-tracing", test: /src\/trac(ing|eparent)\.ts$/ }],
        },
      },
    },
  },
  // The parts for Node are looked at, and left out.
  logLevel: "error",
});

/**
 * The packet table with all that sessions need of it: how many arguments, and whether there is data. Numbers take the place of
 * `PacketType.NAME` (and `Found.NAME`), and of the names in what is said about a server that breaks the protocol.
 */
function packetsInLittle(): Plugin {
  return {
    name: "packets-in-little",
    enforce: "pre",
    load: (id) => (/protocol\/src\/packets\.ts$/.test(id) ? packetModule() : undefined),
    transform: (code) =>
      code
        .replace(/\bPacketType\.(\w+)/g, (_, name) => String(PacketType[name as PacketName]))
        .replace(/\bFound\.(\w+)/g, (_, name) => String(Found[name as keyof typeof Found]))
        // What only Node's buffers have, what is faster only in great numbers, and what only tests ask for.
        .replace(/"(?:latin1Slice|copy)" in \w+|end - start <= SHORT/g, "false")
        .replace(/^ {2}get (?:attached|backlogBytes|state)\(\)[\s\S]*?^ {2}\}$/gm, "")
        .replace(/^ {2}release\(job[\s\S]*?^ {2}\}$/gm, "")
        .replace(/[\w.#]+\.unref\?\.\(\)/g, "0"),
  };
}

function packetModule(): string {
  // For each number a digit: twice the arguments of its packet, and one for data; or no digit, where there is no packet.
  const shapes = (from: number, to: number): string => {
    const digits: string[] = [];
    for (const { type, args, data } of PACKETS) {
      const shape = 2 * args.length + (data === undefined ? 0 : 1);
      if (type >= from && type < to) digits[type - from] = shape.toString(36);
    }
    return Array.from(digits, (digit) => digit ?? "-").join("");
  };
  const extensions = PacketType.SUBMIT_JOB_EXT;
  return `
    // Nobody asks for these two, so that they are left out.
    export const PacketType = ${JSON.stringify(PacketType)};
    export const PACKETS = ${JSON.stringify(PACKETS)};
    export const packetName = (type) => "type " + type;
    export const packetDefinition = (type) => {
      const shape = parseInt(
        type < ${extensions}
          ? "${shapes(1, extensions)}"[type - 1]
          : "${shapes(extensions, Number.POSITIVE_INFINITY)}"[type - ${extensions}],
        36,
      );
      if (shape >= 0) {
        const args = [...Array(shape >> 1).keys()];
        return { name: packetName(type), args, data: shape & 1 || undefined };
      }
    };
  `;
}
