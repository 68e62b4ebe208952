/**
 * The detached process of `DetachedPerEvent`.
 */
import { PostHog } from "posthog-node"

const { distinctId, host, key, name, properties } = JSON.parse(process.env["BENCH_EVENT"] ?? "{}")
const client = new PostHog(key, { host, isServer: false })
client.capture({ distinctId, event: name, properties })
await client.shutdown()
