/**
 * What the process of a worker gets from the command that started it.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Path from "node:path"
import { marker, variable } from "../../src/layers/WorkerMarks.ts"
import { tls } from "../fixtures/Certificate.ts"
import { temporaryFolder } from "../fixtures/Folders.ts"
import { run } from "../fixtures/Process.ts"
import { listen, serve } from "../fixtures/Servers.ts"
import { makeSink } from "../fixtures/Wait.ts"
import { Harness, runtimeName } from "./Harness.ts"
import { suite, usedDevice, waiting, words } from "./Prepared.ts"

/** What a runtime needs besides. Deno hands over by a descriptor what it knows of the packages. */
const variablesOf = {
  node: {},
  bun: {},
  deno: { DENO_NO_UPDATE_CHECK: "1" }
}

/** A tunnel for TLS, as companies have them. */
const proxy = Effect.gen(function*() {
  const asked: Array<string> = []
  const server = Http.createServer((_, response) => response.writeHead(502).end())
  server.on("connect", (request: Http.IncomingMessage, client: Net.Socket) => {
    asked.push(request.url ?? "")
    const { hostname, port } = new URL(`http://${request.url}`)
    const upstream = Net.connect(Number(port), hostname, () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n")
      upstream.pipe(client).pipe(upstream)
    })
    upstream.on("error", () => {})
    client.on("close", () => upstream.destroy())
  })
  return { asked, url: (yield* listen(server)).url }
})

suite("the environment of a worker", (test) => {
  describe.concurrent("variables and proxies", () => {
    test.skipIf(runtimeName !== "node")(
      "A command in a deleted directory delivers, whatever its relative variables",
      function*() {
        const acme = yield* usedDevice
        const folder = yield* temporaryFolder("acme-deleted-")
        const script = `cd '${folder}' && rmdir '${folder}' && exec "$0" "$@"`
        const ended = yield* run(["sh", "-c", script, ...yield* words("deploy x")], {
          env: { ...acme.env, TMPDIR: "tmp", SSL_CERT_FILE: "ca.pem" }
        })
        assert.deepStrictEqual(ended, { stdout: "Deployed x to eu\n", stderr: "", code: 0, signal: null })
        yield* acme.delivered(1)
      }
    )

    test("A worker inherits from its starter only what sending needs", function*() {
      const acme = yield* usedDevice
      yield* acme.stopWorkers()
      const folder = yield* temporaryFolder("acme-planted-")
      // What would keep the host itself from starting is planted once it runs.
      const preload = Path.join(folder, "preload.cjs")
      Fs.writeFileSync(
        preload,
        `process.env.NODE_OPTIONS = "--inspect-brk=0 --require ${Path.join(folder, "missing.cjs")}"`
      )
      Fs.writeFileSync(Path.join(folder, "ca.pem"), tls.cert)
      // Deno starts no process where there is no such folder.
      Fs.mkdirSync(Path.join(folder, "tmp"))
      const planted = {
        NODE_V8_COVERAGE: Path.join(folder, "coverage"),
        NODE_TLS_REJECT_UNAUTHORIZED: "0",
        NODE_PATH: folder,
        NODE_DEBUG: "http",
        LD_PRELOAD: Path.join(folder, "missing.so"),
        LC_ALL: "tr_TR.UTF-8",
        POSTHOG_CAPTURE_MODE: "v1",
        AWS_SECRET_ACCESS_KEY: "a secret",
        GITHUB_TOKEN: "another",
        ACME_API_KEY: "key-of-a"
      }
      const acmeWords = yield* words("deploy my-project --message hello")
      const [executable = "", ...more] = acmeWords
      const { code, stdout } = yield* run([
        "bash",
        "--norc",
        "-c",
        // Beyond those that Node keeps from its children by itself.
        `exec 40>'${folder}/inherited'; exec "$0" "$@"`,
        ...(runtimeName === "deno" ? acmeWords : [executable, "--require", preload, ...more])
      ], {
        cwd: folder,
        // Deno leaves its child what it was given, and cannot close that: this run would not end before the worker.
        pipes: runtimeName === "deno" ? 0 : 4,
        env: {
          ...acme.env,
          ...planted,
          // Far limits leave the worker's priority as it is.
          TEST_FAR_LIMITS: "0",
          PATH: `relative:${process.env["PATH"] ?? ""}`,
          TMPDIR: "tmp",
          NODE_EXTRA_CA_CERTS: "ca.pem",
          https_proxy: "http://127.0.0.1:9",
          NO_PROXY: "127.0.0.1"
        }
      })
      assert.deepStrictEqual([stdout, code], ["Deployed my-project to eu\n", 0])
      yield* acme.sink.waitFor((_, requests) => requests.length > 0)
      const [worker, ...others] = yield* acme.workers
      assert.isEmpty(others)
      if (worker === undefined) return assert.fail("no worker lives")
      const { argv, env, pid } = worker

      const { [variable]: job = "", ...rest } = env
      assert.deepStrictEqual(rest, {
        PATH: process.env["PATH"] ?? "",
        HOME: Path.dirname(acme.home),
        TMPDIR: Path.join(folder, "tmp"),
        NODE_EXTRA_CA_CERTS: Path.join(folder, "ca.pem"),
        https_proxy: "http://127.0.0.1:9",
        NO_PROXY: "127.0.0.1",
        NODE_USE_ENV_PROXY: "1",
        NODE_V8_COVERAGE: "",
        NODE_COMPILE_CACHE: Path.join(acme.home, "usage/compile-cache"),
        ...variablesOf[runtimeName]
      })
      assert.deepStrictEqual([argv[0], ...argv.slice(-2)], [executable, (yield* Harness).acme, marker])
      const [message] = waiting(acme.home)
      for (
        const part of [message?.uuid, message?.distinct_id, message?.properties["invocation_id"], "deploy", "hello"]
      ) assert.notInclude(`${job} ${argv.join(" ")}`, String(part))

      const proc = (name: string) => `/proc/${pid}/${name}`
      assert.strictEqual(Fs.readlinkSync(proc("cwd")), "/")
      // After the name in parentheses: state, parent, group, session, …, and as the 17th of all its nice value.
      const stat = Fs.readFileSync(proc("stat"), "utf8").replace(/^.*\) /, "").split(" ")
      assert.deepStrictEqual([stat[2], stat[3], stat[16]], [String(pid), String(pid), "19"])
      const descriptors = Fs.readdirSync(proc("fd")).map((fd) =>
        [Number(fd), Fs.readlinkSync(proc(`fd/${fd}`))] as const
      )
      assert.deepStrictEqual(
        descriptors.filter(([fd]) => fd < 3).map(([, target]) => target),
        ["/dev/null", "/dev/null", "/dev/null"]
      )
      // The runtime's own: no file, nor the pipes that its starter was given (they would have kept this run from its end).
      const own = /^(anon_inode:|socket:|pipe:|\/dev\/|.*\/(compile-cache|\.cache\/deno)\/)/
      const given = runtimeName === "deno" ? [[40, Path.join(folder, "inherited")]] : []
      assert.deepStrictEqual<unknown>(descriptors.filter(([, target]) => !own.test(target)), given)
      // The host wrote its coverage, and the worker wrote none.
      if (runtimeName === "node") assert.lengthOf(Fs.readdirSync(planted.NODE_V8_COVERAGE), 1)
    })

    test("A worker goes through HTTPS_PROXY, but not where NO_PROXY names PostHog", function*() {
      const acme = yield* (yield* Harness).device("proxy")
      const ca = Path.join(yield* temporaryFolder("acme-proxy-"), "ca.pem")
      Fs.writeFileSync(ca, tls.cert)
      const tunnel = yield* proxy
      for (const exempt of [false, true]) {
        const sink = yield* makeSink({ tls })
        tunnel.asked.length = 0
        yield* acme.run("deploy site", {
          runtime: "ci",
          env: {
            ACME_POSTHOG_HOST: sink.url,
            NODE_EXTRA_CA_CERTS: ca,
            HTTPS_PROXY: tunnel.url,
            ...(exempt ? { NO_PROXY: "127.0.0.1" } : {})
          }
        })
        assert.lengthOf(yield* sink.messages, 1)
        assert.deepStrictEqual(tunnel.asked, exempt ? [] : [new URL(sink.url).host])
      }
    })

    test("A worker sends in clear text to this machine only, whatever HTTP_PROXY says", function*() {
      const acme = yield* (yield* Harness).device("proxy")
      const { requests, url } = yield* serve((_, response) => response.end("{}"))
      yield* acme.run("deploy site", { runtime: "ci", env: { HTTP_PROXY: url, http_proxy: url, HTTPS_PROXY: url } })
      assert.lengthOf(yield* acme.sink.messages, 1)
      assert.isEmpty(requests)
    })

    test("A worker delivers also with an invalid proxy variable", function*() {
      const acme = yield* (yield* Harness).device("proxy")
      const proxies = [
        "nonsense",
        "127.0.0.1:9",
        "127.0.0.1:9/proxy.pac",
        "socks5://127.0.0.1:9",
        "http://",
        "http://bob:50%off@127.0.0.1:9",
        "http://%C3:%A9@127.0.0.1:9"
      ]
      for (const [n, HTTPS_PROXY] of proxies.entries()) {
        yield* acme.run("deploy site", { runtime: "ci", env: { HTTPS_PROXY, NO_PROXY: "127.0.0.1" } })
        assert.lengthOf(yield* acme.sink.messages, n + 1)
      }
    })
  })
})
