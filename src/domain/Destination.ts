/** The destination of events: a PostHog host and the API key of a project. */
import * as Result from "effect/Result"

/**
 * A PostHog host and the API key of a project, both checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Destination {
  /** Scheme, name and port, with an optional path; without a slash at the end. */
  readonly host: string
  /** The project's API key (`phc_…`): public by design, it can only add events. */
  readonly key: string
}

/** The names of this machine in a URL: without TLS, nothing is sent to another machine. */
export const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/** Creates a destination from the configured host and key. The failure names the problem and the expected form. */
export const make = (options: { readonly host: string; readonly key: string }): Result.Result<Destination, string> => {
  const key = options.key.trim()
  if (!/^[\x21-\x7e]{1,200}$/.test(key)) {
    return Result.fail(
      "the PostHog key must be a project's API key (\"phc_…\"), in printable characters without spaces"
    )
  }
  // PostHog accepts no event with a personal key, and every copy of the host would publish the secret.
  if (key.toLowerCase().startsWith("phx_")) {
    return Result.fail(
      "the PostHog key is a personal API key (\"phx_…\"), a secret: use the project's API key (\"phc_…\") of " +
        "PostHog's project settings, and revoke this one if it was published"
    )
  }
  if (!URL.canParse(options.host)) {
    return Result.fail("the PostHog host must be a URL such as \"https://us.i.posthog.com\"")
  }
  const url = new URL(options.host)
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback.test(url.hostname))) {
    return Result.fail("the PostHog host must be https:, or http: on this machine's loopback")
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return Result.fail("the PostHog host must have no user, password, query or fragment")
  }
  const path = url.pathname === "/" ? "" : url.pathname.replace(/\/+$/, "")
  return Result.succeed({ host: `${url.origin}${path}`, key })
}
