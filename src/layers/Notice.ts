/** The author's notice, once per device: `usage/notice` remembers it. */
import { keepsNothing } from "../domain/Runtime.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { StateFiles } from "./StateFiles.ts"

/**
 * Returns whether the notice is to be shown: nobody reads one in CI, and where nothing is kept it would be shown each
 * time.
 */
export const isDue = (
  files: StateFiles,
  runtime: HostRuntime["Service"],
  notice: string | undefined
): notice is string =>
  notice !== undefined && runtime.stderrIsTerminal && !keepsNothing(runtime) &&
  files.read(files.home.notice)._tag === "Missing"
