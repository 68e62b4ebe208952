/**
 * A file that the user, or another tool, may have put anything in the place of.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"

// An identity file is some hundred bytes.
const maxBytes = 1024 * 1024

/**
 * Reads a file's text; empty where it is none, which a device or a FIFO would be for ever, longer than 1 MiB, or a link
 * that leads nowhere, as to a disk that is not there.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (fs: FileSystem.FileSystem, file: string): Effect.Effect<string, PlatformError> =>
  Effect.flatMap(
    fs.stat(file),
    (info) => info.type === "File" && info.size <= maxBytes ? fs.readFileString(file) : Effect.succeed("")
  ).pipe(
    // A file that is there now was made in this moment.
    Effect.catchIf(
      (error) => error.reason._tag === "NotFound",
      (error) => Effect.flatMap(fs.lstat(file), ({ type }) => type === "File" ? Effect.fail(error) : Effect.succeed(""))
    )
  )
