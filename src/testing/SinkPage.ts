/**
 * The page of a sink, which shows what arrives: its files, and with which headers they are served.
 */
import * as Fs from "node:fs"
import type * as Http from "node:http"
import { send } from "./SinkHttp.ts"

// Also from the one file that the kit is published as, which is in a folder beside this one.
const folder = new URL("../testing/page/", import.meta.url)

const files: Readonly<Record<string, readonly [file: string, type: string]>> = {
  "GET /": ["index.html", "text/html; charset=utf-8"],
  "GET /page.css": ["page.css", "text/css; charset=utf-8"],
  "GET /page.js": ["page.js", "text/javascript; charset=utf-8"],
  "GET /page.svg": ["page.svg", "image/svg+xml"]
}

// Scripts, styles and requests are the sink's own, and no text becomes HTML or a script, not even by the page's own doing.
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

const headers = {
  "cache-control": "no-store",
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const read = async (name: string): Promise<string> => {
  const file = new URL(name, folder)
  if (name !== "page.js" || Fs.existsSync(file)) return Fs.readFileSync(file, "utf8")
  // A checkout has only the sources of the script.
  const { bundle }: { readonly bundle: () => Promise<string> } = await import(new URL("Bundle.ts", folder).href)
  return bundle()
}

/** Answers a request for the page or for a part of it; false for any other request. */
export const answer = (route: string, response: Http.ServerResponse): boolean => {
  const [file, type] = files[route] ?? []
  if (file === undefined || type === undefined) return false
  read(file).then(
    (text) => send(response, 200, text, { ...headers, "content-type": type }),
    () => send(response, 404, JSON.stringify({ error: "the page of the sink is not where its code is" }))
  )
  return true
}
