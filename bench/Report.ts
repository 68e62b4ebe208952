/**
 * The results as a table, for people.
 */
import * as Fs from "node:fs"
import type { Results, Row } from "./Result.ts"

const figure = (n: number | null): string =>
  n === null
    ? ""
    : Number.isInteger(n)
    ? String(n)
    : Math.abs(n) >= 100
    ? n.toFixed(0)
    : Math.abs(n) >= 10
    ? n.toFixed(1)
    : String(Number(n.toFixed(3)))

const rounded = (n: number): string => Math.round(n).toLocaleString("en")

const times = (ratio: number): string => ratio.toFixed(ratio < 0.1 ? 4 : 3)

const isRatio = ({ ratio }: Row): boolean => ratio !== null

const range = (row: Row, of: "spread" | "layouts"): string =>
  row[of]?.map((n) => isRatio(row) ? times(n) : figure(n)).join("–") ?? ""

const points = (n: number): string => `${(100 * n).toFixed(1)} points`

const budget = (row: Row): string => {
  if (row.budget === null) return ""
  const bound = `${figure(row.budget)}${isRatio(row) ? "×" : ""}${row.budgetIs === null ? "" : ` (${row.budgetIs})`}`
  if (row.by === null) return bound
  const verdict = row.kept === true ? "kept" : "**missed**"
  return `${bound}, ${verdict} by ${isRatio(row) ? points(row.by) : `${figure(row.by)} ${row.unit}`}`
}

const noise = (row: Row): string => row.noise === null ? "" : points(row.noise)

// Beside a baseline, what a peer adds says more than what it comes to.
const peers = (row: Row): string =>
  Object.entries(row.peers).map(([name, peer]) =>
    peer === null
      ? `${name}: not measured`
      : row.baseline === null
      ? `${name} ${figure(peer)}`
      : `${name} +${figure(peer - row.baseline)} (${times(peer / row.baseline)}×)`
  ).join("; ").replaceAll("+-", "−")

const million = ({ million }: Row): string =>
  million === null ?
    "" :
    ` ${figure(million.ours)} ${million.unit}${
      Object.entries(million.peers).filter(([name]) => !/^(floor|noise)/.test(name)).map(([name, cost]) =>
        `; ${name} ${figure(cost)}`
      ).join("")
    }`.replaceAll(" -", " −").trim()

const line = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

/** The machine, the rows, and what a million runs a day cost. */
export const toMarkdown = ({ code, machine, quick, rows }: Results): string => {
  const measured = rows.filter((row) => row.ours !== null)
  return [
    `Measured on a machine with ${machine.cpus} CPUs, Node ${machine.node}, ${machine.kernel}${
      quick ? ", with few samples" : ""
    }, of the code \`${code}\`.`,
    "",
    line(["id", "what", "unit", "baseline", "ours", "ratio", "middle half", "layouts", "noise", "budget", "others"]),
    line(["---", "---", "---", "--:", "--:", "--:", "--:", "--:", "--:", "---", "---"]),
    ...rows.map((row) =>
      line([
        `\`${row.id}\``,
        row.what,
        row.unit,
        figure(row.baseline),
        row.ours === null ? row.note ?? "" : figure(row.ours),
        row.ratio === null ? "" : `${times(row.ratio)}×`,
        range(row, "spread"),
        range(row, "layouts"),
        noise(row),
        budget(row),
        peers(row)
      ])
    ),
    "",
    ...measured.filter((row) => row.note !== null).map((row) => `- \`${row.id}\`: ${row.note}.`),
    "",
    "What each would cost a CLI with a million runs a day, every day:",
    "",
    line(["id", "a day"]),
    line(["---", "---"]),
    ...measured.filter((row) => row.million !== null).map((row) => line([`\`${row.id}\``, million(row)]))
  ].join("\n")
}

/** The same in a terminal. */
export const toText = ({ rows }: Results): string =>
  rows.map((row) => {
    const head = `${row.id.padEnd(17)} ${row.what} (${row.unit})`
    if (row.ours === null) return `${head}\n    ${row.note}`
    const base = row.baseline === null ? "" : ` against ${figure(row.baseline)} = ${times(row.ratio ?? 0)}×`
    const others = peers(row)
    const middle = row.spread === null ? "" : ` [${range(row, "spread")}]`
    const layouts = row.layouts === null ? "" : `, layouts ${range(row, "layouts")}`
    const bound = row.budget === null ? "" : `\n    budget ${budget(row).replaceAll("*", "")}`
    const around = row.noise === null ? "" : `${bound === "" ? "\n    " : ", "}noise ${noise(row)}`
    const lines = `${layouts}${bound}${around}${others === "" ? "" : `\n    ${others}`}`
    return `${head}\n    ours ${figure(row.ours)}${base}${middle}${lines}`
  }).join("\n")

const inProcess = "posthog-node in the process"

/** The four figures of the README: ours beside a client in the process. */
export const toFigures = ({ rows }: Results): string => {
  const cells = (id: string, of: (figure: number, baseline: number) => string): ReadonlyArray<string> => {
    const row = rows.find((row) => row.id === id)
    return [row?.ours, row?.peers[inProcess]].map((figure) =>
      typeof figure === "number" ? of(figure, row?.baseline ?? 0) : "not measured"
    )
  }
  const added = (figure: number, baseline: number): string => {
    const millis = figure - baseline
    return millis < 10_000 ? `${rounded(millis)} ms` : `${rounded(millis / 1_000)} s`
  }
  return [
    line(["", "effect-cli-usage", inProcess]),
    line(["---", "--:", "--:"]),
    line(["time added to a command, if PostHog answers at once", ...cells("start", added)]),
    line(["the same, if PostHog never answers", ...cells("hole-wall", added)]),
    line([
      "CPU time of 200 commands and their delivery (1×: without telemetry)",
      ...cells("burst-cpu", (a, b) => `${(a / b).toFixed(2)}×`)
    ]),
    line(["size added to a minified bundle", ...cells("size", (kilobytes) => `${rounded(kilobytes)} kB`)])
  ].join("\n")
}

/** Puts a text between the two marks of a document. */
export const insert = (file: string, name: string, text: string): void => {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const document = Fs.readFileSync(file, "utf8")
  const [from, to] = [document.indexOf(begin), document.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has no place for the ${name} table`)
  Fs.writeFileSync(file, `${document.slice(0, from + begin.length)}\n${text}\n${document.slice(to)}`)
}
