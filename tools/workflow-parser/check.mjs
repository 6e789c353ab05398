// What GitHub's own parser has to say: node check.mjs FILE ... prints one mistake a line; the exit code is 1 when there is any.
import { readFileSync } from 'node:fs'
import { register } from 'node:module'
import { basename } from 'node:path'

register('./json_modules.mjs', import.meta.url)
const { NoOperationTraceWriter, convertWorkflowTemplate, parseWorkflow } = await import('@actions/workflow-parser')
const { parseAction } = await import('@actions/workflow-parser/actions/action-parser')

async function mistakes(name) {
  const file = { name, content: readFileSync(name, 'utf8') }
  const action = basename(name) === 'action.yml'
  const { context, value } = (action ? parseAction : parseWorkflow)(file, new NoOperationTraceWriter())
  const found = context.errors.getErrors().map((error) => error.message)
  // What follows from several parts of a workflow, such as a `needs` that leads nowhere, is found by converting it.
  if (found.length || action) return found
  const { errors } = await convertWorkflowTemplate(context, value)
  return (errors ?? []).map((error) => error.Message)
}

let bad = 0
for (const name of process.argv.slice(2)) {
  for (const mistake of await mistakes(name)) {
    bad = 1
    console.log(mistake.startsWith(name) ? mistake : `${name}: ${mistake}`)
  }
}
process.exit(bad)
