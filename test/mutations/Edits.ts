/**
 * Mistakes that somebody could make in the sources, each of which a test must see.
 */

/** One mistake, as texts to search and what stands in their place. */
export interface Mutation {
  readonly name: string
  /** What goes wrong, for the reader of the table. */
  readonly why: string
  readonly file: string
  readonly edits: ReadonlyArray<{ readonly search: string; readonly replace: string }>
}

const stitch = "src/layers/HybridIdentityStitch.ts"
const steady = "src/layers/SteadyStitch.ts"
const store = "src/layers/FileIdentityStore.ts"
const files = "src/layers/StateFiles.ts"
const outbox = "src/layers/FileOutbox.ts"
const claims = "src/layers/ClaimWriter.ts"
const services = "src/layers/UsageServices.ts"
const consent = "src/layers/EnvironmentConsent.ts"
const known = "src/domain/Known.ts"
const codec = "src/domain/IdentityCodec.ts"
const attribution = "src/domain/Attribution.ts"

const one = (search: string, replace: string): Mutation["edits"] => [{ search, replace }]

export const mutations: ReadonlyArray<Mutation> = [
  // == sightings
  {
    // Alone it would do no harm: a slot that is set already ends the second response too.
    name: "the guard is never set, and the slot is not looked at",
    why: "of many responses at once, each stitches",
    file: stitch,
    edits: [
      {
        search: "if (yield* stitchAttempted.get) return\n    yield* stitchAttempted.set(true)\n",
        replace: "if (yield* stitchAttempted.get) return\n"
      },
      { search: "slot: turn === 0 ? yield* slot.get : undefined", replace: "slot: undefined" }
    ]
  },
  {
    name: "the rotation is skipped on a switch",
    why: "one anon id belongs to two accounts",
    file: stitch,
    edits: one("if (consequence === \"Switch\") {", "if (turn > 99) {")
  },
  {
    name: "a switch aliases the new anon id",
    why: "an alias for an id without a history",
    file: stitch,
    edits: one(
      "yield* publish(claimed, principal, seenBy, consequence === \"Claim\")",
      "yield* publish(claimed, principal, seenBy, true)"
    )
  },
  {
    name: "an alias that lost the race uses up a sequence number",
    why: "the numbers on the wire have gaps",
    file: stitch,
    edits: one("if (result._tag !== \"Published\") return result\n    yield* notes.run(kept)", "yield* notes.run(kept)")
  },
  {
    name: "an identity that another tool replaced is claimed all the same",
    why: "the device's events and its claim are of two ids",
    file: store,
    edits: one("if (check === \"Replaced\") {\n      state = load(state)\n      return", "if (false) {\n      return")
  },
  {
    name: "another tool's link is not looked at before a claim",
    why: "a device is aliased into two accounts",
    file: store,
    edits: one(
      "const first = pointer?.anonId === claim.anon_id && ",
      "const first = false && pointer?.anonId === claim.anon_id && "
    )
  },
  {
    name: "a response is taken for one about the current credential",
    why: "a login that validates another key makes the old one its account's",
    file: stitch,
    edits: one(
      "else if (isTheirs) yield* to(StitchState.observed, principal)",
      "else yield* remember(principal)"
    )
  },
  {
    name: "a response to a request that was under way claims the device",
    why: "a logout in another terminal is undone",
    file: stitch,
    edits: one("(StitchState.hasChanged(yield* Ref.get(state)) || ", "(false || ")
  },
  {
    name: "a response to a request with another credential claims the device",
    why: "the stored credential is taken for the other account's for good",
    file: stitch,
    edits: one("return found === undefined || authorization === undefined || ", "return true || ")
  },
  {
    name: "a resolver's late answer is about any credential",
    why: "it claims the device of another user",
    file: stitch,
    edits: one("if (StitchState.is(yield* current, about)) yield*", "yield*")
  },

  // == logout
  {
    name: "a logout leaves the slot",
    why: "what comes after it goes to the former account",
    file: stitch,
    edits: one(
      "yield* slot.set(undefined)\n    yield* to(StitchState.signedOut, StitchState.none)",
      "yield* to(StitchState.signedOut, StitchState.none)"
    )
  },
  {
    name: "a logout ends no stitching",
    why: "a late response brings the account back",
    file: stitch,
    edits: [
      {
        search: "yield* stitchAttempted.set(true)\n    yield* withdrawQuestion\n",
        replace: "yield* stitchAttempted.set(false)\n    yield* withdrawQuestion\n"
      },
      {
        search: "yield* stitchAttempted.set(true)\n    if ((yield* Ref.get(state)).phase === \"SignedOut\" || ",
        replace: "yield* stitchAttempted.set(true)\n    if ("
      }
    ]
  },
  {
    name: "nobody notices that the user signed out elsewhere",
    why: "the next person's events go to the former account",
    file: attribution,
    edits: one(
      "facts.claim?.credential === \"stored\" && facts.credential.source === \"none\"",
      "false && facts.claim?.credential === \"stored\" && facts.credential.source === \"none\""
    )
  },
  {
    name: "a session goes on under a new anon id",
    why: "it ties the anonymous device to the account that logged out",
    file: "src/domain/Session.ts",
    edits: one("session.anon_id === anonId && ", "")
  },

  // == attribution
  {
    name: "an unknown credential is the claim's",
    why: "another account's events go to the one that the device belongs to",
    file: attribution,
    edits: one("return claim.principal !== undefined && known\n", "return claim.principal !== undefined\n")
  },
  {
    name: "an ephemeral runtime claims",
    why: "every CI run leaves a dead id on the person",
    file: attribution,
    edits: one("if (ephemeral) return \"Stamp\"\n", "")
  },
  {
    name: "a command is of the account that is logged in at its end",
    why: "another process's login takes its events",
    file: stitch,
    edits: one("if (began?._tag === \"Principal\" && StitchState.hasChanged(yield* Ref.get(state))) {", "if (false) {")
  },

  // == the steady path
  {
    name: "a steady command does not look for a successor",
    why: "its event goes to an account that logged out",
    file: steady,
    edits: one("if (files.read(`${home.successors}/${anonId}.json`)._tag !== \"Missing\") return undefined\n", "")
  },
  {
    name: "a steady command takes another tool's link for a claim",
    why: "the link is never adopted, and the device never claimed",
    file: steady,
    edits: one("if (linkedPrincipal !== claim?.principal_id) return undefined\n", "")
  },
  {
    name: "a steady command goes on where its credential changed since it began",
    why: "its event goes to the account of the new credential",
    file: steady,
    edits: one("if (initial.text !== text) return undefined\n", "")
  },
  {
    name: "a steady command does not notice a sign-out elsewhere",
    why: "the device keeps the id of the account that left",
    file: steady,
    edits: one("if (signedOutElsewhere({ claim, credential })) return undefined\n", "")
  },
  {
    name: "a command that runs long does not look at its identity again",
    why: "its events go to an identity that was rotated or deleted",
    file: steady,
    edits: one("else if (!isSame(opened.identity, readIdentity())) return undefined\n", "")
  },
  {
    name: "the cache forgets that an answer is about one credential",
    why: "one account's events go to another one",
    file: known,
    edits: one(
      "const found = known.credentials.find((resolution) => resolution.fingerprint === fingerprint)\n",
      "const found = known.credentials.at(-1)\n"
    )
  },
  {
    name: "a cache with an invalid part is used all the same",
    why: "an account's id of another tool's making is sent",
    file: known,
    edits: one("return isWhole ? known : undefined", "return known")
  },

  // == facts on disk
  {
    name: "the pointer is the truth about a link, not the claim",
    why: "a late or lost rewrite of the file changes whose the device is",
    file: store,
    edits: [
      {
        search: "const claim = found ??\n",
        replace: "const claim = undefined ??\n"
      },
      {
        search: "const result = mayWrite ? ClaimWriter.publish(files, claim) : undefined",
        replace: "const result = undefined"
      },
      { search: "return result?._tag === \"Held\" ? result.claim : claim", replace: "return result ?? claim" }
    ]
  },
  {
    name: "no successor is followed",
    why: "a late rewrite of an old pointer brings a former account back",
    file: store,
    edits: one("    let anonId = start\n", "    if (seen.size === 0) return start\n    let anonId = start\n")
  },
  {
    name: "an alias gets a new uuid on every send",
    why: "a resend is counted again",
    file: claims,
    edits: one(
      "message: claim.alias }",
      "message: { ...claim.alias, uuid: globalThis.crypto.randomUUID() } }"
    )
  },
  {
    name: "a file that is made once is written in place",
    why: "a process that is killed leaves half a claim",
    file: files,
    edits: one("const code = disk.link(temp, file)\n", "const code = disk.create(file, text)\n")
  },
  {
    name: "what is replaced is written in place",
    why: "a process that is killed leaves half an identity file",
    file: files,
    edits: one(
      "inFolder(file, () => disk.rename(temp, file))",
      "inFolder(file, () => (disk.remove(file), disk.create(file, text)))"
    )
  },
  {
    name: "a claim is replaced instead of published",
    why: "the last of two accounts wins, after the first one's alias was sent",
    file: claims,
    edits: one(
      "files.publish(ClaimFiles.path(files, claim.anon_id, \"json\")",
      "files.replace(ClaimFiles.path(files, claim.anon_id, \"json\")"
    )
  },
  {
    name: "a worker lists claims before events",
    why: "an event goes out before the alias of its account",
    file: outbox,
    edits: one(
      "const listed = list()\n    const { aliases, isUncertain } = claims()\n    const read_",
      "const { aliases, isUncertain } = claims()\n    const listed = list()\n    const read_"
    )
  },
  {
    name: "an account's events go although a claim cannot be read",
    why: "they go before the alias that the claim may hold",
    file: outbox,
    edits: one("const free = isUncertain ?", "const free = false ?")
  },
  {
    name: "a message that cannot be read is set aside",
    why: "a disk that fails for a moment loses events",
    file: outbox,
    edits: one(
      "if (!isIrregular(disk, `${folder.events}/${name}`, file.code)) return \"Unreadable\"\n",
      ""
    )
  },
  {
    name: "an identity file that cannot be read has a successor",
    why: "a disk that fails for a moment makes a new device",
    file: store,
    edits: one(
      "if (file._tag === \"Unreadable\") return \"Current\"\n",
      "if (file._tag === \"Unreadable\") return \"Replaced\"\n"
    )
  },

  // == consent
  {
    name: "an identity that was deleted meanwhile is claimed",
    why: "it may have been claimed before the opt-out, for another account",
    file: store,
    edits: one("if (check === \"Deleted\") return { _tag: \"Unwritable\" }\n", "")
  },
  {
    name: "a command goes on under an identity that an opt-out has deleted",
    why: "what `telemetry enable` starts leads back to what `telemetry disable` deleted",
    file: stitch,
    edits: one("if (check === \"Deleted\") return undefined\n", "")
  },
  {
    name: "nothing is known of the device, and a command records all the same",
    why: "it passes for one without a credential, under the account that the device belongs to",
    file: stitch,
    edits: one("if (!(yield* isAllowed)) return false\n", "if (!(yield* isAllowed)) return true\n")
  },
  {
    name: "a process that lived through an opt-out goes on",
    why: "what was deleted is claimed once more, for another account",
    file: consent,
    edits: one("if (began !== now) return denied({ _tag: \"Outlived\" })\n", "")
  },
  {
    name: "consent is not asked for again before a file is published",
    why: "what was deleted is there for a moment, and a worker sends its alias",
    file: files,
    edits: one("const code = stillGiven() ? publish(temp) : denied\n", "const code = publish(temp)\n")
  },
  {
    name: "nothing that was published during an opt-out is taken back",
    why: "an event or a claim outlives `telemetry disable`",
    file: files,
    edits: one("if (code === undefined && !holdsConsent) disk.remove(file)\n", "")
  },
  {
    name: "a denial that another process wrote into the identity file is removed",
    why: "Supabase's CLI, which shares the file, makes a new one with consent given",
    file: files,
    edits: one("if (code === undefined && !holdsConsent) disk.remove(file)\n", "disk.remove(file)\n")
  },

  // == the identity file of another tool
  {
    name: "a denial keeps the ids",
    why: "a device that opted out and in again goes on under its former id",
    file: codec,
    edits: one(
      "printWhole(keysOf(text), newId(), undefined",
      "printWhole(keysOf(text), `${keysOf(text)[\"device_id\"] ?? newId()}`, undefined"
    )
  },
  {
    name: "a rotated id keeps the session of the former one",
    why: "what is recorded after a logout is joined to the account by its session",
    file: codec,
    edits: one("session?.anon_id === anonId ? session", "session !== undefined ? session")
  },
  {
    name: "a session is written into a file that names another device",
    why: "an id that another tool has replaced comes back",
    file: "src/layers/PointerFile.ts",
    edits: one(" || pointer.value.anonId !== session.anon_id", "")
  },
  {
    name: "the session in the identity file is not taken over",
    why: "a CLI with users has new sessions beside those of the tool that it shares the file with",
    file: "src/layers/KnownFile.ts",
    edits: one("return found._tag === \"Text\" ? codec.session(found.text) : undefined", "return undefined")
  },

  // == delivery
  {
    name: "a worker gives up its lease after its last look",
    why: "a message that comes in between waits until somebody runs a command again",
    file: "src/worker/Worker.ts",
    edits: one(
      "held.release(yield* Clock.currentTimeMillis)\n  if (!isAllowed() || (yield* outbox.isEmpty)) return total\n",
      "const isEmpty = yield* outbox.isEmpty\n  held.release(yield* Clock.currentTimeMillis)\n  if (!isAllowed() || isEmpty) return total\n"
    )
  },
  {
    name: "a worker sends on after its lease was deleted",
    why: "what was read before an opt-out goes out after it",
    file: "src/worker/Worker.ts",
    edits: one("if (!isAllowed() || !stands()) return \"Denied\"\n", "if (!isAllowed()) return \"Denied\"\n")
  },
  {
    name: "a command starts a worker where one lives",
    why: "a burst of commands starts one worker each",
    file: "src/layers/HeldLease.ts",
    edits: one("  if (seen.isHeld && !takesOver) return undefined\n", "")
  },
  {
    name: "a worker that was killed keeps its lease",
    why: "for ten seconds no command starts another worker, and none waits for delivery",
    file: "src/layers/Lease.ts",
    edits: one("const isLeft = lease !== undefined && ", "const isLeft = false && lease !== undefined && ")
  },
  {
    name: "a command records after the module could not be loaded, under the account",
    why: "an upgrade while a command runs lets its events go to a former account",
    file: services,
    edits: one("    shared.slot = undefined\n    return undefined\n", "    return undefined\n")
  }
]
