/**
 * Mistakes as wrong implementations of exported functions: `tsc` finds a name here that a rename in src has missed.
 */
import * as Effect from "effect/Effect"
import { IdentitySlot } from "../../src/services/IdentitySlot.ts"

/** The modules that are replaced. */
interface Modules {
  readonly "domain/Attribution.ts": typeof import("../../src/domain/Attribution.ts")
  readonly "domain/Credential.ts": typeof import("../../src/domain/Credential.ts")
  readonly "domain/IdentityCodec.ts": typeof import("../../src/domain/IdentityCodec.ts")
  readonly "domain/Known.ts": typeof import("../../src/domain/Known.ts")
  readonly "domain/Session.ts": typeof import("../../src/domain/Session.ts")
  readonly "domain/StitchState.ts": typeof import("../../src/domain/StitchState.ts")
  readonly "layers/ClaimWriter.ts": typeof import("../../src/layers/ClaimWriter.ts")
  readonly "layers/CredentialText.ts": typeof import("../../src/layers/CredentialText.ts")
  readonly "layers/FileIdentityStore.ts": typeof import("../../src/layers/FileIdentityStore.ts")
  readonly "layers/FileOutbox.ts": typeof import("../../src/layers/FileOutbox.ts")
  readonly "layers/HeldLease.ts": typeof import("../../src/layers/HeldLease.ts")
  readonly "layers/HybridIdentityStitch.ts": typeof import("../../src/layers/HybridIdentityStitch.ts")
  readonly "layers/KnownFile.ts": typeof import("../../src/layers/KnownFile.ts")
  readonly "layers/Lease.ts": typeof import("../../src/layers/Lease.ts")
  readonly "layers/PointerFile.ts": typeof import("../../src/layers/PointerFile.ts")
  readonly "layers/Recorder.ts": typeof import("../../src/layers/Recorder.ts")
  readonly "layers/StateFiles.ts": typeof import("../../src/layers/StateFiles.ts")
  readonly "layers/SteadyStitch.ts": typeof import("../../src/layers/SteadyStitch.ts")
  readonly "services/Disk.ts": typeof import("../../src/services/Disk.ts")
}

/** One wrong module. */
export interface Wrong {
  readonly module: keyof Modules
  /** The only module that gets the wrong one; all modules, if undefined. */
  readonly importer: string | undefined
  /** Returns the wrong exports of a module. */
  exports(right: object): object
}

export interface Replacement {
  readonly name: string
  /** What goes wrong, for the reader of the table. */
  readonly why: string
  readonly wrong: ReadonlyArray<Wrong>
}

const wrong = <K extends keyof Modules>(
  module: K,
  exports: (right: Modules[K]) => Partial<Modules[K]>,
  importer?: string
): Wrong => ({ module, importer, exports })

/** Returns a view of an object with some members replaced. Writes go to the object. */
const overriding = <A extends object>(target: A, own: Partial<A>): A =>
  new Proxy(target, { get: (target, key) => Reflect.get(key in own ? own : target, key) })

const steady = "layers/SteadyStitch.ts"

export const replacements: ReadonlyArray<Replacement> = [
  // == sightings
  {
    // Alone it would do no harm: a slot that is set already ends the second response too.
    name: "the guard is never set, and the slot is not looked at",
    why: "of many responses at once, each stitches",
    wrong: [
      wrong("layers/HybridIdentityStitch.ts", (right) => ({
        make: (shared, initial, held) => {
          const set: ProxyHandler<typeof shared>["set"] = (target, key, value) =>
            key === "stitchAttempted" || Reflect.set(target, key, value)
          return right.make(new Proxy(shared, { set }), initial, held)
        }
      })),
      wrong("domain/Attribution.ts", (right) => ({
        onSighting: (facts) => right.onSighting({ ...facts, slot: undefined })
      }))
    ]
  },
  {
    name: "a switch leaves the device to its former account",
    why: "the next command's events go to the former account",
    wrong: [
      wrong("domain/Attribution.ts", (right) => ({
        onSighting: (facts) => {
          const consequence = right.onSighting(facts)
          return consequence === "Switch" ? "Stamp" : consequence
        }
      }))
    ]
  },
  {
    name: "an alias that lost the race uses up a sequence number",
    why: "the numbers on the wire have gaps",
    wrong: [
      wrong("layers/Recorder.ts", (right) => ({
        make: (options) => {
          const recorder = right.make(options)
          return overriding(recorder, {
            draw: (draft, identity, now) => {
              const drawn = recorder.draw(draft, identity, now)
              drawn.kept()
              return drawn
            }
          })
        }
      }))
    ]
  },
  {
    name: "a response to a request with another credential claims the device",
    why: "the stored credential is taken for the other account's for good",
    wrong: [wrong("domain/Credential.ts", () => ({ authorizes: () => true }))]
  },
  {
    name: "a resolver's late answer is about any credential",
    why: "it claims the device of another user",
    wrong: [wrong("domain/StitchState.ts", () => ({ is: ({ found }) => found !== undefined }))]
  },

  // == logout
  {
    name: "a logout leaves the slot",
    why: "what comes after it goes to the former account",
    wrong: [
      wrong("layers/HybridIdentityStitch.ts", (right) => ({
        make: (shared, initial, held) =>
          Effect.updateService(
            right.make(shared, initial, held),
            IdentitySlot,
            (slot) => overriding(slot, { set: (next) => next === undefined ? Effect.void : slot.set(next) })
          )
      }))
    ]
  },
  {
    name: "a sign-out elsewhere is not noticed",
    why: "the next person's events go to the former account",
    wrong: [wrong("domain/Attribution.ts", () => ({ signedOutElsewhere: () => false }))]
  },
  {
    name: "a session goes on under a new anon id",
    why: "it ties the anonymous device to the account that logged out",
    wrong: [
      wrong("domain/Session.ts", (right) => ({
        touch: (before, anonId, now, newId) => right.touch(before && { ...before, anon_id: anonId }, anonId, now, newId)
      }))
    ]
  },

  // == attribution
  {
    name: "an unknown credential is the claim's",
    why: "another account's events go to the one that the device belongs to",
    wrong: [
      wrong("domain/Attribution.ts", (right) => ({
        attribute: (facts) => {
          const { principal } = facts.claim ?? {}
          return right.attribute({ ...facts, slot: facts.slot ?? principal })
        }
      }))
    ]
  },
  {
    name: "an ephemeral runtime claims",
    why: "every CI run leaves a dead id on the person",
    wrong: [
      wrong("domain/Attribution.ts", (right) => ({
        onSighting: (facts) => right.onSighting({ ...facts, ephemeral: false })
      }))
    ]
  },

  // == the steady path
  {
    name: "a steady command does not look for a successor",
    why: "its event goes to an account that logged out",
    wrong: [
      wrong(steady, (right) => ({
        make: (shared, ...rest) => {
          const { files } = shared
          const read: typeof files.read = (file, owner) =>
            file.startsWith(files.home.successors) ? { _tag: "Missing" } : files.read(file, owner)
          return right.make(overriding(shared, { files: overriding(files, { read }) }), ...rest)
        }
      }))
    ]
  },
  {
    name: "a steady command goes on where its credential changed since it began",
    why: "its event goes to the account of the new credential",
    wrong: [
      wrong("layers/CredentialText.ts", (right) => {
        const first = new WeakMap<object, string | undefined>()
        return {
          read: (disk, input) => {
            if (!first.has(input)) first.set(input, right.read(disk, input))
            return first.get(input)
          }
        }
      }, steady)
    ]
  },
  {
    name: "a steady command does not notice a sign-out elsewhere",
    why: "the device keeps the id of the account that left",
    wrong: [wrong("domain/Attribution.ts", () => ({ signedOutElsewhere: () => false }), steady)]
  },
  {
    name: "a command that runs long does not look at its identity again",
    why: "its events go to an identity that was rotated or deleted",
    wrong: [
      wrong(steady, (right) => ({
        make: (...args) => {
          const stitch = right.make(...args)
          let first: ReturnType<typeof stitch.attribution>
          return overriding(stitch, { attribution: (now) => first ??= stitch.attribution(now) })
        }
      }))
    ]
  },
  {
    name: "the cache forgets that an answer is about one credential",
    why: "one account's events go to another one",
    wrong: [
      wrong("domain/Known.ts", (right) => ({
        recall: (known, fingerprint, now) =>
          right.recall(known, known.credentials.at(-1)?.fingerprint ?? fingerprint, now)
      }))
    ]
  },

  // == facts on disk
  {
    name: "no successor is followed",
    why: "a late rewrite of an old pointer brings a former account back",
    wrong: [
      wrong("layers/FileIdentityStore.ts", (right) => ({
        makeWith: (files, initial) => {
          const read: typeof files.read = (file, owner) =>
            file.startsWith(files.home.successors) ? { _tag: "Missing" } : files.read(file, owner)
          return right.makeWith(overriding(files, { read }), initial)
        }
      }))
    ]
  },
  {
    name: "an alias gets a new uuid on every send",
    why: "a resend is counted again",
    wrong: [
      wrong("layers/ClaimWriter.ts", (right) => ({
        undelivered: (files, destination) => {
          const { aliases, isUncertain } = right.undelivered(files, destination)
          const renewed = aliases.map((alias) => ({
            ...alias,
            message: { ...alias.message, uuid: globalThis.crypto.randomUUID() }
          }))
          return { aliases: renewed, isUncertain }
        }
      }))
    ]
  },
  {
    name: "a file that is made once is written in place",
    why: "a process that is killed leaves half a claim",
    wrong: [
      wrong("layers/StateFiles.ts", (right) => ({
        make: (options) => {
          const { disk } = options.runtime
          const link: typeof disk.link = (from, to) => {
            const read = disk.read(from)
            return read._tag === "Text" ? disk.create(to, read.text) : disk.link(from, to)
          }
          return right.make({ ...options, runtime: overriding(options.runtime, { disk: overriding(disk, { link }) }) })
        }
      }))
    ]
  },
  {
    name: "what is replaced is written in place",
    why: "a process that is killed leaves half an identity file",
    wrong: [
      wrong("layers/StateFiles.ts", (right) => ({
        make: (options) => {
          const { disk } = options.runtime
          const rename: typeof disk.rename = (from, to) => {
            const read = disk.read(from)
            if (read._tag !== "Text") return disk.rename(from, to)
            disk.remove(to)
            return disk.create(to, read.text) ?? disk.remove(from)
          }
          return right.make({
            ...options,
            runtime: overriding(options.runtime, { disk: overriding(disk, { rename }) })
          })
        }
      }))
    ]
  },
  {
    name: "a claim is replaced instead of published",
    why: "the last of two accounts wins, after the first one's alias was sent",
    wrong: [
      wrong("layers/ClaimWriter.ts", (right) => ({
        publish: (files, claim) => right.publish(overriding(files, { publish: files.replace }), claim)
      }))
    ]
  },
  {
    name: "a worker lists claims before events",
    why: "an event goes out before the alias of its account",
    wrong: [
      wrong("layers/FileOutbox.ts", (right) => ({
        makeWith: (files, writer, keepsSent) => {
          let early: ReturnType<typeof files.list> | undefined
          const list: typeof files.list = (folder) => {
            if (folder === writer.folder.events) early = files.list(files.home.claims)
            if (folder !== files.home.claims || early === undefined) return files.list(folder)
            const claims = early
            early = undefined
            return claims
          }
          return right.makeWith(overriding(files, { list }), writer, keepsSent)
        }
      }))
    ]
  },
  {
    name: "an account's events go although a claim cannot be read",
    why: "they go before the alias that the claim may hold",
    wrong: [
      wrong("layers/ClaimWriter.ts", (right) => ({
        undelivered: (files, destination) => ({ ...right.undelivered(files, destination), isUncertain: false })
      }))
    ]
  },
  {
    name: "a message that cannot be read is set aside",
    why: "a disk that fails for a moment loses events",
    wrong: [wrong("services/Disk.ts", () => ({ isIrregular: () => true }), "layers/FileOutbox.ts")]
  },
  {
    name: "an identity file that cannot be read has a successor",
    why: "a disk that fails for a moment makes a new device",
    wrong: [
      wrong("layers/FileIdentityStore.ts", (right) => ({
        makeWith: (files, initial) =>
          Effect.map(right.makeWith(files, initial), (store) => {
            const file = files.home.identityFile("usage.json")
            const check: typeof store.check = Effect.suspend(() =>
              files.read(file)._tag === "Unreadable" ? Effect.succeed("Replaced") : store.check
            )
            return overriding(store, { check })
          })
      }))
    ]
  },

  // == consent
  {
    name: "a command goes on under an identity that an opt-out has deleted",
    why: "what `telemetry enable` starts leads back to what `telemetry disable` deleted",
    wrong: [
      wrong("layers/FileIdentityStore.ts", (right) => ({
        makeWith: (files, initial) =>
          Effect.map(
            right.makeWith(files, initial),
            (store) =>
              overriding(store, { check: Effect.map(store.check, (check) => check === "Deleted" ? "Current" : check) })
          )
      }))
    ]
  },

  // == the identity file of another tool
  {
    name: "a denial keeps the ids",
    why: "a device that opted out and in again goes on under its former id",
    wrong: [
      wrong("domain/IdentityCodec.ts", (right) => ({
        supabase: overriding(right.supabase, {
          withConsent: (text, given, newId) =>
            right.supabase.withConsent(text, given, () => `${right.keysOf(text)["device_id"] ?? newId()}`)
        })
      }))
    ]
  },
  {
    name: "a rotated id keeps the session of the former one",
    why: "what is recorded after a logout is joined to the account by its session",
    wrong: [
      wrong("domain/IdentityCodec.ts", (right) => ({
        supabase: overriding(right.supabase, {
          encode: (pointer, document, newId, given) => {
            const session = given ?? right.supabase.session(JSON.stringify(document))
            return right.supabase.encode(pointer, document, newId, session && { ...session, anon_id: pointer.anonId })
          }
        })
      }))
    ]
  },
  {
    name: "a session is written into a file that names another device",
    why: "the events of two devices share a session",
    wrong: [
      wrong("layers/PointerFile.ts", (right) => ({
        touch: (files, codec, session, newId) => {
          const file = files.decode(files.home.identityFile(codec.fileName), codec.decode)
          right.touch(files, codec, { ...session, anon_id: file?.anonId ?? session.anon_id }, newId)
        }
      }))
    ]
  },
  {
    name: "the session in the identity file is not taken over",
    why: "a CLI with users has new sessions beside those of the tool that it shares the file with",
    wrong: [
      wrong("layers/KnownFile.ts", (right) => ({
        make: (files, runtime, codec) => right.make(files, runtime, overriding(codec, { session: () => undefined }))
      }))
    ]
  },

  // == delivery
  {
    name: "a worker sends on after its lease was deleted",
    why: "what was read before an opt-out goes out after it",
    wrong: [
      wrong("layers/HeldLease.ts", (right) => ({
        acquire: (...args) => {
          const lease = right.acquire(...args)
          return lease && overriding(lease, { stands: () => true })
        }
      }))
    ]
  },
  {
    name: "a command starts a worker where one lives",
    why: "a burst of commands starts one worker each",
    wrong: [
      wrong(
        "layers/Lease.ts",
        (right) => ({ look: (leases, now) => ({ ...right.look(leases, now), isHeld: false }) }),
        "layers/HeldLease.ts"
      )
    ]
  },
  {
    name: "a worker that was killed keeps its lease",
    why: "for ten seconds no command starts another worker, and none waits for delivery",
    wrong: [
      wrong("layers/Lease.ts", (right) => ({
        look: (leases, now) => {
          const seen = right.look(leases, now)
          return { ...seen, isHeld: seen.isHeld || seen.isLeft, isLeft: false }
        }
      }))
    ]
  }
]
