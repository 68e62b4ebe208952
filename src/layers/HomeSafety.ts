/** Checks the type, the owner and the mode of folders. */
import type { Path } from "effect/Path"
import { isStateless } from "../domain/Runtime.ts"
import type { StateHome } from "../domain/StateHome.ts"
import { type Entry, type Errno, isAbsent, isRefused } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"

const groupOrOthersMayWrite = 0o022

/**
 * Returns why a folder is unsafe: it is not a folder, another user owns it, or other users may write to it.
 */
export const folderProblem = (
  folder: string,
  { mode, type, uid: owner }: Entry,
  uid: { readonly effective: number } | undefined,
  forbidden: number = groupOrOthersMayWrite
): string | undefined => {
  if (type !== "Directory") return `${folder} is not a real folder`
  if (uid === undefined || owner === undefined) return undefined
  if (owner !== uid.effective) return `${folder} has another owner`
  return (mode & forbidden) === 0 ? undefined : `others may write to ${folder}; \`chmod go-w\` ends that`
}

/**
 * Returns why the home, or the folder of this package in it, is unsafe. A missing folder is safe.
 *
 * **Details**
 *
 * Both must be folders of this user and not links: otherwise files elsewhere could be written or deleted, and under
 * `sudo` root would own files in the user's home. With `forbidden` 0, other users may have write access.
 */
export const problem = (
  home: StateHome,
  path: Pick<Path, "dirname" | "isAbsolute">,
  runtime: HostRuntime["Service"],
  forbidden?: number
): string | undefined => {
  const { disk, uid } = runtime

  const unreadable = (folder: string, code: Errno): string =>
    isAbsent(code) ? `${folder} is below a file` : `${folder} cannot be read (${code})`

  // Root must not create a home below another user's folder, as `sudo` in CI would. A container in CI or
  // without a terminal is exempt: it often runs as root in a home of the image.
  const problemAbove = (folder: string): string | undefined => {
    const entry = disk.follow(folder)
    if (!isRefused(entry)) {
      const isOwn = uid === undefined || entry.uid === undefined || entry.uid === uid.effective || entry.uid === 0
      return isOwn ? undefined : `${home.root} would be made below another user's folder`
    }
    const above = path.dirname(folder)
    if (entry !== "ENOENT") return unreadable(folder, entry)
    return above === folder ? `${folder} does not exist` : problemAbove(above)
  }

  if (!path.isAbsolute(home.root)) return `${home.root === "" ? "an empty path" : home.root} is not absolute`
  if (uid !== undefined && uid.effective !== uid.real) return "the command runs with another user's rights"
  const root = disk.look(home.root)
  if (root === "ENOENT") {
    return isStateless(runtime) && runtime.container ? undefined : problemAbove(path.dirname(home.root))
  }
  if (isRefused(root)) return unreadable(home.root, root)
  const rootProblem = folderProblem(home.root, root, uid, forbidden)
  if (rootProblem !== undefined) return rootProblem
  const usage = disk.look(home.usage)
  if (!isRefused(usage)) return folderProblem(home.usage, usage, uid, forbidden)
  return usage === "ENOENT" ? undefined : unreadable(home.usage, usage)
}
