/** Makes one script of the page. The package has it ready; a checkout makes it from the sources for each request. */
import { build } from "esbuild"
import { fileURLToPath } from "node:url"

/** Returns the script, as text. */
export const bundle = async (): Promise<string> => {
  const { outputFiles: [script] } = await build({
    entryPoints: [fileURLToPath(new URL("Main.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    logLevel: "error"
  })
  return script?.text ?? ""
}
