/**
 * A GET request for JSON that can be interrupted at any time.
 *
 * `fetch` and `import "node:http"` load undici, which takes 19 ms, so Node's modules are loaded at the first request.
 * `dns.lookup` runs in the thread pool and cannot be cancelled: the process would not end before the name server
 * answers. So names are resolved here with a `Resolver`, which can be cancelled.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Resolver } from "node:dns/promises"
import * as NFS from "node:fs"
import type { LookupFunction } from "node:net"
import { loopback } from "../domain/Destination.ts"

const maxBodyBytes = 64 * 1024

// RFC 8305, section 3: the wait for the other address family once one has answered.
const resolutionDelayMillis = 50

const hostsFile = (): string =>
  process.platform === "win32" ? "C:\\Windows\\System32\\drivers\\etc\\hosts" : "/etc/hosts"

const familyOf = (address: string): number => process.getBuiltinModule("node:net").isIP(address)

const readHostsFile = (name: string): ReadonlyArray<string> => {
  let text: string
  try {
    text = NFS.readFileSync(hostsFile(), "utf8").toLowerCase()
  } catch {
    return []
  }
  // Some hosts files block a hundred thousand names: only the lines that contain the name are parsed.
  return text.split("\n").filter((line) => line.includes(name)).flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/)
    return names.includes(name) && familyOf(address) !== 0 ? [address] : []
  })
}

const queryNameServer = async (resolver: Resolver, name: string): Promise<ReadonlyArray<string>> => {
  const found: Array<ReadonlyArray<string>> = [[], []]
  const queries = [resolver.resolve4(name), resolver.resolve6(name)].map(async (query, index) => {
    const addresses = await query
    // The answer to an alias without an address is empty. Node throws at an empty list, which would end the process.
    if (addresses.length === 0) throw Object.assign(new Error("no address"), { code: "ENODATA" })
    found[index] = addresses
  })
  // The error of `Promise.any` has no code.
  await Promise.any(queries).catch(() => queries[0])
  const delay = new Promise((resolve) => setTimeout(resolve, resolutionDelayMillis).unref())
  await Promise.race([Promise.allSettled(queries), delay])
  return found.flat()
}

const resolve = async (resolver: Resolver, name: string): Promise<ReadonlyArray<string>> => {
  if (name === "localhost") return ["127.0.0.1", "::1"]
  const known = readHostsFile(name)
  return known.length > 0 ? known : await queryNameServer(resolver, name)
}

const makeLookup = (resolver: Resolver): LookupFunction => (name, { all }, callback) => {
  resolve(resolver, name).then(
    (addresses) => {
      const [first = ""] = addresses
      // The host may have turned off the attempts at more than one address.
      if (all !== true) return callback(null, first, familyOf(first))
      callback(null, addresses.map((address) => ({ address, family: familyOf(address) })))
    },
    (error) => callback(error, "")
  )
}

// The message of an error may contain the URL, a header, or the answer. Its code does not.
const codeOf = (cause: unknown): string =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : "request failed"

const parse = (body: Buffer): Effect.Effect<unknown, string> =>
  Effect.try({
    try: () => body.length === 0 ? null : JSON.parse(new TextDecoder().decode(body)),
    catch: () => "no JSON"
  })

/**
 * Returns the JSON answer to a GET request with a bearer token. The failure is a reason without text of the request or
 * the answer.
 *
 * **Details**
 *
 * Only a status of 2xx is an answer; redirects are not followed. An empty body is `null`; a body of more than 64 KiB is
 * a failure. Plain `http:` is refused unless the host is `localhost`, in 127.0.0.0/8, or `[::1]`. No proxy is used.
 * Interruption destroys the socket and cancels the name look-up at once. There is no time limit: the caller sets it.
 *
 * **Gotchas**
 *
 * The request does not keep the process alive, except while a name server is queried. Names are resolved by the hosts
 * file and the name server only: no mDNS, no search domains.
 */
export const getJson = (url: URL | string, token: string): Effect.Effect<unknown, string> =>
  Effect.callback((resume) => {
    const fail = (reason: string) => resume(Effect.fail(reason))
    try {
      const target = new URL(url)
      // The token must not leave the machine unencrypted.
      if (target.protocol === "http:" && !loopback.test(target.hostname)) {
        return fail("plain http is for this machine only")
      }
      const resolver = new (process.getBuiltinModule("node:dns/promises").Resolver)()
      const { Agent, request } = process.getBuiltinModule(target.protocol === "https:" ? "node:https" : "node:http")
      const outgoing = request(target, {
        // The global agent belongs to the host: it may use a proxy or keep the connection.
        agent: new Agent(),
        // Without `accept-encoding`, a server may compress its answer.
        headers: { accept: "application/json", "accept-encoding": "identity", authorization: `Bearer ${token}` },
        lookup: makeLookup(resolver)
      })
      const abort = (reason: string) => {
        fail(reason)
        outgoing.destroy()
      }
      outgoing.on("error", (cause) => fail(codeOf(cause)))
      outgoing.once("close", () => resolver.cancel())
      outgoing.once("socket", (socket) => {
        socket.unref()
        // Each address that is tried has a handle of its own.
        socket.on("connectionAttempt", () => socket.unref())
      })
      // Without a listener, Node destroys the socket and emits no error.
      outgoing.once("upgrade", (_message, socket) => {
        fail("status 101")
        socket.destroy()
      })
      outgoing.once("response", (message) => {
        const { statusCode = 0 } = message
        if (Math.floor(statusCode / 100) !== 2) return abort(`status ${statusCode}`)
        const chunks: Array<Buffer> = []
        let size = 0
        message.on("data", (chunk: Buffer) => {
          size += chunk.length
          if (size > maxBodyBytes) return abort("the answer is larger than 64 KiB")
          chunks.push(chunk)
        })
        message.once("end", () => resume(parse(Buffer.concat(chunks))))
        message.on("error", (cause) => fail(codeOf(cause)))
      })
      outgoing.end()
      return Effect.sync(() => void outgoing.destroy())
    } catch (cause) {
      // A URL, a header value, or a protocol that Node refuses.
      fail(codeOf(cause))
    }
  })
