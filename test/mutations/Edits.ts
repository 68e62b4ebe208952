/**
 * Mistakes within a function, where no exported function can be replaced by a wrong one.
 */

/** One mistake, as texts to search and their replacements. */
export interface Edit {
  readonly name: string
  /** What goes wrong, for the reader of the table. */
  readonly why: string
  readonly file: string
  readonly edits: ReadonlyArray<{ readonly search: string; readonly replace: string }>
}

const stitch = "src/layers/HybridIdentityStitch.ts"
const steady = "src/layers/SteadyStitch.ts"
const store = "src/layers/FileIdentityStore.ts"
const services = "src/layers/UsageServices.ts"
const consent = "src/layers/EnvironmentConsent.ts"

const one = (search: string, replace: string): Edit["edits"] => [{ search, replace }]

export const edits: ReadonlyArray<Edit> = [
  // == sightings
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
      "else if (isStamped) yield* transition(StitchState.observe, principal)",
      "else yield* remember(principal)"
    )
  },
  {
    name: "a response to a request that was under way claims the device",
    why: "a logout in another terminal is undone",
    file: stitch,
    edits: one("(StitchState.hasChanged(yield* Ref.get(state)) || ", "(false || ")
  },

  // == logout
  {
    name: "a logout ends no stitching",
    why: "a late response brings the account back",
    file: stitch,
    edits: [
      {
        search: "yield* stitchAttempted.set(true)\n    yield* cancelRequest\n",
        replace: "yield* stitchAttempted.set(false)\n    yield* cancelRequest\n"
      },
      {
        search: "yield* stitchAttempted.set(true)\n    if ((yield* Ref.get(state)).phase === \"SignedOut\" || ",
        replace: "yield* stitchAttempted.set(true)\n    if ("
      }
    ]
  },

  // == attribution
  {
    name: "a command is of the account that is logged in at its end",
    why: "another process's login takes its events",
    file: stitch,
    edits: one(
      "if (initialKnowledge?._tag === \"Principal\" && StitchState.hasChanged(yield* Ref.get(state))) {",
      "if (false) {"
    )
  },

  // == the steady path
  {
    name: "a steady command takes another tool's link for a claim",
    why: "the link is never adopted, and the device never claimed",
    file: steady,
    edits: one("if (linkedPrincipal !== claim?.principal_id) return undefined\n", "")
  },

  {
    name: "a cache with an invalid part is used all the same",
    why: "an account's id of another tool's making is sent",
    file: "src/domain/Known.ts",
    edits: one("(principal_id === null || isPrincipalId(principal_id))", "true")
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

  // == consent
  {
    name: "an identity that was deleted meanwhile is claimed",
    why: "it may have been claimed before the opt-out, for another account",
    file: store,
    edits: one("if (check === \"Deleted\") return { _tag: \"Unwritable\" }\n", "")
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
    edits: one("if (initialEnabled !== now) return denied({ _tag: \"Outlived\" })\n", "")
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
    name: "a command records after the module could not be loaded, under the account",
    why: "an upgrade while a command runs lets its events go to a former account",
    file: services,
    edits: one("    shared.slot = undefined\n    return undefined\n", "    return undefined\n")
  }
]
