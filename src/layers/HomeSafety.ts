/** Whether the state home is the user's own. */
import type { Path } from "effect/Path"
import { keepsNothing } from "../domain/Runtime.ts"
import type { StateHome } from "../domain/StateHome.ts"
import { type Errno, isAbsent, isRefused } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import * as FolderSafety from "./FolderSafety.ts"

/**
 * Returns what is wrong with the home and this module's folder in it; a folder that is not there has no problem.
 *
 * **Details**
 *
 * Both must be real folders of this user: else something would be written or deleted elsewhere, and under `sudo` a file in
 * the user's home would be root's. With `forbidden` 0, others may write to them.
 */
export const problem = (
  home: StateHome,
  path: Pick<Path, "dirname" | "isAbsolute">,
  runtime: HostRuntime["Service"],
  forbidden?: number
): string | undefined => {
  const { disk, uid } = runtime

  // Below a user's own folder root must not make a home. Where nothing is kept no user comes after, and a job's container
  // often runs as root in a home of the image.
  const mayMakeBelow = (folder: string): boolean => {
    const entry = disk.follow(folder)
    if (!isRefused(entry)) {
      return uid === undefined || entry.uid === undefined || entry.uid === uid.effective || entry.uid === 0
    }
    const above = path.dirname(folder)
    return entry === "ENOENT" && above !== folder && mayMakeBelow(above)
  }

  const unreadable = (folder: string, code: Errno): string =>
    isAbsent(code) ? `${folder} is below a file` : `${folder} cannot be read (${code})`

  if (!path.isAbsolute(home.root)) return `${home.root === "" ? "an empty path" : home.root} is not absolute`
  if (uid !== undefined && uid.effective !== uid.real) return "the command runs with another user's rights"
  const root = disk.look(home.root)
  if (root === "ENOENT") {
    const may = keepsNothing(runtime) || mayMakeBelow(path.dirname(home.root))
    return may ? undefined : `${home.root} would be made below another user's folder`
  }
  if (isRefused(root)) return unreadable(home.root, root)
  const wrong = FolderSafety.problem(home.root, root, uid, forbidden)
  if (wrong !== undefined) return wrong
  const usage = disk.look(home.usage)
  if (!isRefused(usage)) return FolderSafety.problem(home.usage, usage, uid, forbidden)
  return usage === "ENOENT" ? undefined : unreadable(home.usage, usage)
}
