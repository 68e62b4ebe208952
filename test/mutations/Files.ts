/**
 * Mistakes in what is written, deleted and delivered, as wrong implementations of exported functions.
 */
import * as Effect from "effect/Effect"
import * as Path from "node:path"
import * as StateHome from "../../src/domain/StateHome.ts"
import * as ClaimWriter from "../../src/layers/ClaimWriter.ts"
import type { IdentityStore } from "../../src/services/IdentityStore.ts"
import { UsageSettings } from "../../src/services/UsageSettings.ts"
import { type Mutation, onDisk, overriding, withoutSuccessors, wrong, wrongDisk, wrongStore } from "./Wrong.ts"

type Check = Effect.Success<IdentityStore["Service"]["check"]>

// Returns a wrong store, which publishes a claim although the identity was replaced or deleted.
const claimingDespite = (found: Check) =>
  wrongStore((store, files) => ({
    claim: (claim) =>
      Effect.flatMap(
        store.check,
        (check) => check === found ? Effect.sync(() => ClaimWriter.publish(files, claim)) : store.claim(claim)
      )
  }))

export const files: ReadonlyArray<Mutation> = [
  // == sightings
  {
    name: "an identity that another tool replaced is claimed all the same",
    why: "the device's events and its claim are of two ids",
    wrong: [claimingDespite("Replaced")]
  },
  {
    name: "another tool's link is not looked at before a claim",
    why: "a device is aliased into two accounts",
    wrong: [wrong("layers/FileIdentityStore.ts", (right) => ({
      makeWith: (files, initial) => {
        let isClaiming = false
        const setClaiming = (value: boolean) =>
          Effect.sync(() => {
            isClaiming = value
          })
        const store = Effect.updateService(right.makeWith(files, initial), UsageSettings, (settings) => {
          const { codec } = settings
          const decode: typeof codec.decode = (text) => {
            const pointer = codec.decode(text)
            return isClaiming && pointer !== undefined ? { ...pointer, linkedPrincipal: undefined } : pointer
          }
          return { ...settings, codec: overriding(codec, { decode }) }
        })
        return Effect.map(store, (store) => {
          const claim: typeof store.claim = (claim) =>
            setClaiming(true).pipe(Effect.andThen(store.claim(claim)), Effect.ensuring(setClaiming(false)))
          return overriding(store, { claim })
        })
      }
    }))]
  },

  // == facts on disk
  {
    name: "no successor is followed",
    why: "a late rewrite of an old pointer brings a former account back",
    wrong: [wrong("layers/FileIdentityStore.ts", (right) => ({
      makeWith: (files, initial) => right.makeWith(withoutSuccessors(files), initial)
    }))]
  },
  {
    name: "the pointer is the truth about a link, not the claim",
    why: "a late or lost rewrite of the file changes whose the device is",
    wrong: [
      wrong("layers/ClaimFiles.ts", () => ({ read: () => undefined }), "layers/FileIdentityStore.ts"),
      wrong("layers/ClaimWriter.ts", (right) => ({
        publish: (files, claim) => claim.learned_by === "adopted" ? { _tag: "Unwritable" } : right.publish(files, claim)
      }), "layers/FileIdentityStore.ts")
    ]
  },
  {
    name: "an alias gets a new uuid on every send",
    why: "a resend is counted again",
    wrong: [wrong("layers/ClaimWriter.ts", (right) => ({
      undelivered: (files, disk, destination) => {
        const { aliases, isUncertain } = right.undelivered(files, disk, destination)
        const renewed = aliases.map((alias) => ({
          ...alias,
          message: { ...alias.message, uuid: globalThis.crypto.randomUUID() }
        }))
        return { aliases: renewed, isUncertain }
      }
    }))]
  },
  {
    name: "a file that is made once is written in place",
    why: "a process that is killed leaves half a claim",
    wrong: [wrongDisk((disk) => ({
      link: (from, to) => {
        const read = disk.read(from)
        return read._tag === "Text" ? disk.create(to, read.text) : disk.link(from, to)
      }
    }))]
  },
  {
    name: "what is replaced is written in place",
    why: "a process that is killed leaves half an identity file",
    wrong: [wrongDisk((disk) => ({
      rename: (from, to) => {
        const read = disk.read(from)
        if (read._tag !== "Text") return disk.rename(from, to)
        disk.remove(to)
        return disk.create(to, read.text) ?? disk.remove(from)
      }
    }))]
  },
  {
    name: "a claim is replaced instead of published",
    why: "the last of two accounts wins, after the first one's alias was sent",
    wrong: [wrong("layers/ClaimWriter.ts", (right) => ({
      publish: (files, claim) => right.publish(overriding(files, { publish: files.replace }), claim)
    }))]
  },
  {
    name: "a worker lists claims before events",
    why: "an event goes out before the alias of its account",
    wrong: [wrong("layers/FileOutbox.ts", (right) => ({
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
    }))]
  },
  {
    name: "an account's events go although a claim cannot be read",
    why: "they go before the alias that the claim may hold",
    wrong: [wrong("layers/ClaimWriter.ts", (right) => ({
      undelivered: (files, disk, destination) => ({
        ...right.undelivered(files, disk, destination),
        isUncertain: false
      })
    }))]
  },
  {
    name: "a message that cannot be read is set aside",
    why: "a disk that fails for a moment loses events",
    wrong: [wrong("services/Disk.ts", () => ({ isIrregular: () => true }), "layers/FileOutbox.ts")]
  },
  {
    name: "an identity file that cannot be read has a successor",
    why: "a disk that fails for a moment makes a new device",
    wrong: [wrongStore((store, files) => {
      const file = files.home.identityFile("usage.json")
      const isUnreadable = () => files.read(file)._tag === "Unreadable"
      return { check: Effect.suspend(() => isUnreadable() ? Effect.succeed("Replaced") : store.check) }
    })]
  },

  // == consent
  {
    name: "a command goes on under an identity that an opt-out has deleted",
    why: "what `telemetry enable` starts leads back to what `telemetry disable` deleted",
    wrong: [wrongStore((store) => ({
      check: Effect.map(store.check, (check) => check === "Deleted" ? "Current" : check)
    }))]
  },
  {
    name: "an identity that was deleted meanwhile is claimed",
    why: "it may have been claimed before the opt-out, for another account",
    wrong: [claimingDespite("Deleted")]
  },
  {
    // The file that changes with each withdrawal of an opt-out counts as absent.
    name: "a process that lived through an opt-out goes on",
    why: "what was deleted is claimed once more, for another account",
    wrong: [wrong(
      "layers/ForeignFile.ts",
      (right) => ({
        read: (disk, file) =>
          file.endsWith(StateHome.make(Path, "").enabled) ? { _tag: "Missing" } : right.read(disk, file)
      }),
      "layers/EnvironmentConsent.ts"
    )]
  },
  {
    name: "a command takes the consent that was given anew since it began",
    why: "its invocation joins the deleted device and the new one",
    wrong: [wrong("layers/EnvironmentConsent.ts", (right) => ({
      make: Effect.map(right.make, (checks) => ({ ...checks, begin: () => {} }))
    }))]
  },
  {
    name: "consent is not asked for again before a file is published",
    why: "what was deleted is there for a moment, and a worker sends its alias",
    wrong: [wrong("layers/StateFiles.ts", (right) => ({
      make: (options) => {
        const { disk } = options.runtime
        let isPublished = false
        const link: typeof disk.link = (from, to) => {
          isPublished = true
          return disk.link(from, to)
        }
        const files = right.make({
          ...onDisk(options, { link }),
          stillGiven: () => isPublished ? options.stillGiven() : true
        })
        const publish: typeof files.publish = (...args) => {
          isPublished = false
          return files.publish(...args)
        }
        return overriding(files, { publish })
      }
    }))]
  },
  {
    name: "nothing that was published during an opt-out is taken back",
    why: "an event or a claim outlives `telemetry disable`",
    wrong: [wrong("layers/StateFiles.ts", (right) => ({
      make: (options) => {
        const { disk } = options.runtime
        let published: string | undefined
        const remove: typeof disk.remove = (file) => file === published ? undefined : disk.remove(file)
        const files = right.make(onDisk(options, { remove }))
        const publish: typeof files.publish = (file, ...rest) => {
          published = file
          const code = files.publish(file, ...rest)
          published = undefined
          return code
        }
        return overriding(files, { publish })
      }
    }))]
  },
  {
    name: "a denial that another process wrote into the identity file is removed",
    why: "Supabase's CLI, which shares the file, makes a new one with consent given",
    wrong: [wrong("layers/StateFiles.ts", (right) => ({
      make: (options) => {
        const files = right.make(options)
        return overriding(files, {
          publish: (file, text) => files.publish(file, text),
          replace: (file, text) => files.replace(file, text)
        })
      }
    }))]
  },

  // == the identity file of another tool
  {
    name: "a denial keeps the ids",
    why: "a device that opted out and in again goes on under its former id",
    wrong: [wrong("domain/IdentityCodec.ts", (right) => ({
      supabase: overriding(right.supabase, {
        withConsent: (text, given, newId) =>
          right.supabase.withConsent(text, given, () => `${right.keysOf(text)["device_id"] ?? newId()}`)
      })
    }))]
  },
  {
    name: "a rotated id keeps the session of the former one",
    why: "what is recorded after a logout is joined to the account by its session",
    wrong: [wrong("domain/IdentityCodec.ts", (right) => ({
      supabase: overriding(right.supabase, {
        encode: (pointer, document, newId, given) => {
          const session = given ?? right.supabase.session(JSON.stringify(document))
          return right.supabase.encode(pointer, document, newId, session && { ...session, anon_id: pointer.anonId })
        }
      })
    }))]
  },
  {
    name: "a session is written into a file that names another device",
    why: "the events of two devices share a session",
    wrong: [wrong("layers/PointerFile.ts", (right) => ({
      touch: (files, codec, session, newId) => {
        const file = files.decode(files.home.identityFile(codec.fileName), codec.decode)
        right.touch(files, codec, { ...session, anon_id: file?.anonId ?? session.anon_id }, newId)
      }
    }))]
  },
  {
    name: "the session in the identity file is not taken over",
    why: "a CLI with users has new sessions beside those of the tool that it shares the file with",
    wrong: [wrong("layers/KnownFile.ts", (right) => ({
      make: (files, runtime, codec, configuration) =>
        right.make(files, runtime, overriding(codec, { session: () => undefined }), configuration)
    }))]
  },

  // == delivery
  {
    name: "a worker sends on after its lease was deleted",
    why: "what was read before an opt-out goes out after it",
    wrong: [wrong("layers/Lease.ts", (right) => ({
      acquire: (...args) => {
        const lease = right.acquire(...args)
        return typeof lease === "object" ? overriding(lease, { isHeld: () => true }) : lease
      }
    }))]
  },
  {
    // The removal of the lease waits for the next look at the outbox.
    name: "a worker gives up its lease after its last look",
    why: "a message that comes in between waits until somebody runs a command again",
    wrong: [wrong("worker/Worker.ts", (right) => ({
      run: (options) => {
        const { leases, outbox } = options
        const waiting = new Set<string>()
        const removeLeases = Effect.sync(() => {
          for (const file of waiting) leases.files.remove(file)
          waiting.clear()
        })
        const files = overriding(leases.files, { remove: (file) => void waiting.add(file) })
        return right.run({
          ...options,
          leases: { ...leases, files },
          outbox: overriding(outbox, { isEmpty: Effect.tap(outbox.isEmpty, removeLeases) })
        }).pipe(Effect.ensuring(removeLeases))
      }
    }))]
  },
  {
    name: "a command starts a worker where one lives",
    why: "a burst of commands starts one worker each",
    wrong: [wrong("layers/Lease.ts", (right) => ({
      acquire: (leases, ...rest) =>
        right.acquire({ ...leases, runtime: overriding(leases.runtime, { isAlive: () => false }) }, ...rest)
    }))]
  },
  {
    name: "a worker that was killed keeps its lease",
    why: "for ten seconds no command starts another worker, and none waits for delivery",
    wrong: [wrong("layers/Lease.ts", (right) => ({
      inspect: (leases, now) => {
        const seen = right.inspect(leases, now)
        return { ...seen, isHeld: seen.isHeld || seen.isStale, isStale: false }
      },
      acquire: (leases, now, life, holder) => {
        const { isStale, lease } = right.inspect(leases, now)
        return isStale && lease?.id !== holder.id ? undefined : right.acquire(leases, now, life, holder)
      }
    }))]
  }
]
