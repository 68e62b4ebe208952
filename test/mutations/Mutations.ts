/**
 * Mistakes that somebody could make in the sources, each of which a test must see.
 */

/** One mistake, as texts to search and what stands in their place. */
export interface Mutation {
  readonly name: string
  /** What goes wrong, for whoever reads the table. */
  readonly why: string
  readonly file: string
  readonly edits: ReadonlyArray<{ readonly search: string; readonly replace: string }>
}

const stitch = "src/layers/HybridIdentityStitch.ts"
const store = "src/layers/FileIdentityStore.ts"
const files = "src/layers/StateFiles.ts"
const outbox = "src/layers/FileOutbox.ts"
const claims = "src/layers/FileClaims.ts"

export const mutations: ReadonlyArray<Mutation> = [
  {
    // Alone it would do no harm: a slot that is set already ends the second response too.
    name: "the guard is set after the yield, and the slot is not looked at",
    why: "of many responses at once, each stitches",
    file: stitch,
    edits: [
      {
        search: "if (yield* Ref.getAndSet(stitchAttempted, true)) return\n    if ((yield* Ref.get(hasLoggedOut))",
        replace: "if (yield* Ref.get(stitchAttempted)) return\n    if ((yield* Ref.get(hasLoggedOut))"
      },
      {
        search: "yield* apply(principal, seenBy, yield* store.get)\n    if (seenBy",
        replace: "yield* Ref.set(stitchAttempted, true)\n" +
          "    yield* apply(principal, seenBy, yield* store.get)\n    if (seenBy"
      },
      { search: "slot: turn === 0 ? yield* slot.get : undefined", replace: "slot: undefined" }
    ]
  },
  {
    name: "the pointer is the truth about a link, not the claim",
    why: "a late or lost rewrite of the file changes whose the device is",
    file: store,
    edits: [
      { search: "const claim = (yield* claims.find(anonId)) ??\n", replace: "const claim = undefined ??\n" },
      { search: "if (!mayWrite) return Effect.succeed(claim)", replace: "return Effect.succeed(claim)" }
    ]
  },
  {
    name: "no successor chain",
    why: "a late rewrite of an old pointer brings a former account back",
    file: store,
    edits: [{ search: "const seen = new Set<string>()", replace: "const seen = new Set<string>()\n      return start" }]
  },
  {
    name: "the rotation is skipped on a switch",
    why: "one anon id belongs to two accounts",
    file: stitch,
    edits: [{ search: "if (consequence === \"Switch\") {", replace: "if (turn > 99) {" }]
  },
  {
    name: "an alias gets a new uuid on every send",
    why: "a resend is counted again",
    file: claims,
    edits: [{
      search: "message: claim.alias }",
      replace: "message: { ...claim.alias, uuid: globalThis.crypto.randomUUID() } }"
    }]
  },
  {
    name: "a file that is made once is written in place",
    why: "a process that is killed leaves half a claim",
    file: files,
    edits: [{
      search: "fs.link(temp, file),",
      replace: "fs.writeFileString(file, text, { flag: \"wx\", mode: 0o600 }),"
    }]
  },
  {
    name: "a claim is replaced instead of published",
    why: "the last of two accounts wins, after the first one's alias was sent",
    file: "src/layers/FileClaims.ts",
    edits: [{
      search: "files.publish(path(`${claim.anon_id}.json`), Claim.encode(claim)).pipe(",
      replace: "Effect.as(files.replace(path(`${claim.anon_id}.json`), Claim.encode(claim)), true).pipe("
    }]
  },
  {
    name: "a switch aliases the new anon id",
    why: "an alias for an id without a history",
    file: stitch,
    edits: [{
      search: "yield* publish(claimed, principal, seenBy, consequence === \"Claim\")",
      replace: "yield* publish(claimed, principal, seenBy, true)"
    }]
  },
  {
    name: "a logout leaves the slot",
    why: "what comes after it goes to the former account",
    file: stitch,
    edits: [{
      search: "yield* slot.set(undefined)\n      yield* credential.set(",
      replace: "yield* credential.set("
    }]
  },
  {
    name: "a logout ends no stitching",
    why: "a late response brings the account back",
    file: stitch,
    edits: [
      {
        search: "if (!(yield* Ref.getAndSet(hasLoggedOut, true))) {",
        replace: "if (!(yield* Ref.get(hasLoggedOut))) {"
      },
      {
        search: "yield* Ref.set(stitchAttempted, true)\n      yield* question.withdraw\n",
        replace: "yield* Ref.set(stitchAttempted, false)\n      yield* question.withdraw\n"
      }
    ]
  },
  {
    name: "a response is taken for one about the credential at hand",
    why: "a login that validates another key makes the old one its account's",
    file: stitch,
    edits: [{ search: "yield* Ref.set(observed, principal)", replace: "yield* remember(principal)" }]
  },
  {
    name: "a response to a request that was under way claims the device",
    why: "a logout in another terminal is undone",
    file: stitch,
    edits: [{
      search: "if (seenBy === \"observe\" && (yield* credential.isAnotherNow)) return",
      replace: "if (false) return"
    }]
  },
  {
    name: "a response to a request with another credential claims the device",
    why: "the stored credential is taken for the other account's for good",
    file: stitch,
    edits: [{ search: "return yield* isAbout ? see(", replace: "return yield* true ? see(" }]
  },
  {
    name: "a resolver's late answer is about any credential",
    why: "it claims the device of whoever came after",
    file: stitch,
    edits: [{ search: "if (CredentialAtHand.is(yield* credential.now, about)) yield*", replace: "yield*" }]
  },
  {
    name: "nobody notices that the user signed out elsewhere",
    why: "the next person's events go to the former account",
    file: "src/domain/Attribution.ts",
    edits: [{
      search: "facts.claim?.credential === \"stored\" && facts.credential.source === \"none\"",
      replace: "false && facts.claim?.credential === \"stored\" && facts.credential.source === \"none\""
    }]
  },
  {
    name: "an unknown credential is the claim's",
    why: "another account's events go to the one that the device belongs to",
    file: "src/domain/Attribution.ts",
    edits: [{
      search: "return claim.principal !== undefined && known\n",
      replace: "return claim.principal !== undefined\n"
    }]
  },
  {
    name: "an ephemeral runtime claims",
    why: "every CI run leaves a dead id on the person",
    file: "src/domain/Attribution.ts",
    edits: [{ search: "if (ephemeral) return \"Stamp\"\n", replace: "" }]
  },
  {
    name: "a session goes on under a new anon id",
    why: "it ties the anonymous device to the account that logged out",
    file: "src/domain/Session.ts",
    edits: [{ search: "session.anon_id === anonId && ", replace: "" }]
  },
  {
    name: "an alias that lost the race uses up a sequence number",
    why: "the numbers on the wire have gaps",
    file: stitch,
    edits: [{ search: "[result._tag === \"Published\", result]", replace: "[true, result]" }]
  },
  {
    name: "a worker lists claims before events",
    why: "an event goes out before the alias of its account",
    file: outbox,
    edits: [{
      search: "const waiting = yield* names\n      const owed = yield* aliases\n      const events",
      replace: "const owed = yield* aliases\n      const waiting = yield* names\n      const events"
    }]
  },
  {
    name: "what is replaced is written in place",
    why: "a process that is killed leaves half an identity file",
    file: files,
    edits: [{
      search: "inFolder(file, fs.rename(temp, file))",
      replace: "inFolder(file, fs.writeFileString(file, text, { mode: 0o600 }))"
    }]
  },
  {
    name: "an identity that was deleted meanwhile is claimed",
    why: "it may have been claimed before the opt-out, for somebody else",
    file: store,
    edits: [{ search: "if (yield* isForgotten(claim.anon_id)) return", replace: "if (false) return" }]
  },
  {
    name: "a file is read for as long as it was before it was opened",
    why: "half of an identity file that was just replaced makes a new device",
    file: files,
    edits: [
      {
        search: "if ((yield* fs.lstat(file)).type !== \"File\") return unreadable",
        replace: "const info = yield* fs.lstat(file)\n      if (info.type !== \"File\") return unreadable"
      },
      { search: "Number((yield* handle.stat).size)", replace: "Number(info.size)" }
    ]
  },
  {
    name: "a command goes on under an identity that an opt-out has deleted",
    why: "what `telemetry enable` starts leads back to what `telemetry disable` deleted",
    file: stitch,
    edits: [{ search: " || (wasOpen && !(yield* store.stands))", replace: "" }]
  },
  {
    name: "nothing is known of the device, and a command records all the same",
    why: "it passes for one without a credential, under whoever the device belongs to",
    file: stitch,
    edits: [{ search: "if (!(yield* isAllowed)) return false", replace: "if (!(yield* isAllowed)) return true" }]
  },
  {
    name: "a command is whoever's that is logged in at its end",
    why: "another process's login takes its events",
    file: stitch,
    edits: [{
      search: "if (began?._tag === \"Principal\" && (yield* credential.isAnotherNow)) {",
      replace: "if (false) {"
    }]
  },
  {
    name: "whoever lived through an opt-out goes on",
    why: "what was deleted is claimed once more, for another account",
    file: "src/layers/EnvironmentConsent.ts",
    edits: [{ search: " ?? (yield* byOutlived)", replace: "" }]
  },
  {
    name: "consent is not asked for again before a file is published",
    why: "what was deleted is there for a moment, and somebody sends its alias",
    file: "src/layers/StateFiles.ts",
    edits: [{ search: "        Effect.andThen(allowed),\n", replace: "" }]
  }
]
