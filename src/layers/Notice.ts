/** The host's notice, once per device: the file `usage/notice` exists if it was shown. */
import { isStateless } from "../domain/Runtime.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import type { StateFiles } from "./StateFiles.ts"

/**
 * Returns whether the notice must be shown. It is not shown in a stateless runtime, where it would be shown each time.
 */
export const isDue = (
  files: StateFiles,
  runtime: HostRuntime["Service"],
  notice: string | undefined
): notice is string =>
  notice !== undefined && runtime.stderrIsTerminal && !isStateless(runtime) &&
  files.read(files.home.notice)._tag === "Missing"
