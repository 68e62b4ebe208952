/**
 * A small Acme API on loopback: says whose a key is.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"

/**
 * Answers `/api/v1/auth/validate` and `/api/v1/auth/whoami` for the given keys; gives its URL.
 */
export const make = (
  principals: ReadonlyMap<string, string>
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Http.Server>((resume) => {
        const server = Http.createServer((request, response) => {
          const key = request.headers.authorization?.replace(/^Bearer /, "") ?? ""
          const principal = principals.get(key)
          const known = /^\/api\/v1\/auth\/(validate|whoami)$/.test(request.url ?? "")
          const status = !known ? 404 : principal === undefined ? 401 : 200
          response.writeHead(status, {
            "content-type": "application/json",
            ...(status === 200 && principal !== undefined ? { "x-principal-id": principal } : {})
          })
          response.end(JSON.stringify(status === 200 ? { data: { principal_id: principal } } : { error: status }))
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    ),
    (server) => {
      const address = server.address()
      return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    }
  )
