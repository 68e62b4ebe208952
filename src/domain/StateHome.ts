/**
 * Where everything lies on disk: one value carries every path.
 *
 * @since 0.1.0
 */
import type { Path } from "effect/Path"

/**
 * The paths below a host's state home.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateHome {
  readonly root: string
  /** The identity file, named by its codec. */
  readonly identity: string
  /** The file of another codec. */
  readonly formerIdentity: (fileName: string) => string
  /** Its existence says that another codec's identity was taken over. */
  readonly imported: string
  /** This module's own folder. */
  readonly usage: string
  readonly claims: string
  readonly successors: string
  readonly credentials: string
  readonly session: string
  readonly outboxes: string
  readonly optOut: string
  readonly notice: string
  /** Where files are written before they are published. */
  readonly temp: string
  /** Where Node.js keeps the compiled code of workers. */
  readonly compileCache: string
}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (path: Path, root: string, identityFile: string): StateHome => {
  const usage = path.join(root, "usage")
  // One look at a path is enough to make it a clean one, and every command makes these.
  const base = path.dirname(usage)
  const inRoot = (name: string) => `${base}${path.sep}${name}`
  const inUsage = (name: string) => `${usage}${path.sep}${name}`
  return {
    root,
    identity: inRoot(identityFile),
    formerIdentity: inRoot,
    imported: inUsage("imported"),
    usage,
    claims: inUsage("claims"),
    successors: inUsage("successors"),
    credentials: inUsage("credentials.json"),
    session: inUsage("session.json"),
    outboxes: inUsage("outbox"),
    optOut: inUsage("opt-out"),
    notice: inUsage("notice"),
    temp: inUsage("tmp"),
    compileCache: inUsage("compile-cache")
  }
}
