/**
 * An entry that turns on Node's compile cache before it loads the host.
 */
import { enableCompileCache } from "node:module"
import { fileURLToPath } from "node:url"

enableCompileCache(fileURLToPath(new URL("compile-cache", import.meta.url)))
void import("../../examples/acme/main.ts")
