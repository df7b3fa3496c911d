// Drives a server with the official npm client and prints what came back, as one JSON object.
// Usage: node conversation.mjs http://127.0.0.1:11434 PICTURE
import { Ollama } from 'ollama'

const [host, picture] = process.argv.slice(2)
const client = new Ollama({ host })
const model = 'demo'
const options = { temperature: 0 }
const question = { role: 'user', content: 'Why is the sky blue?' }

const weather = {
  type: 'function',
  function: {
    name: 'get_current_weather',
    description: 'Get the current weather for a location',
    parameters: {
      type: 'object',
      properties: {
        location: { type: 'string', description: 'The location, e.g. San Francisco, CA' },
        format: { type: 'string', enum: ['celsius', 'fahrenheit'] },
      },
      required: ['location', 'format'],
    },
  },
}

async function collect(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return parts
}

async function failure(call) {
  try {
    await call()
    return null
  } catch (error) {
    return { name: error.name, status: error.status_code, message: error.message }
  }
}

async function abortion() {
  const own = new Ollama({ host })
  const stream = await own.generate({ model, prompt: 'Tell me a long story', stream: true })
  return failure(async () => {
    for await (const part of stream) own.abort()
  })
}

const results = {
  version: await client.version(),
  list: await client.list(),
  show: await client.show({ model }),
  chat: await client.chat({ model, messages: [question], options }),
  chatStream: await collect(
    await client.chat({ model, messages: [question], options, stream: true }),
  ),
  generate: await client.generate({ model, prompt: question.content, options }),
  insert: await client.generate({
    model,
    prompt: 'def compute_gcd(a, b):',
    suffix: '    return result',
    options,
  }),
  think: await client.chat({ model, messages: [question], options, think: true }),
  tools: await client.chat({
    model,
    messages: [{ role: 'user', content: 'What is the weather today in Paris?' }],
    tools: [weather],
    options,
  }),
  logprobs: await client.generate({
    model,
    prompt: question.content,
    options: { temperature: 0, num_predict: 3 },
    think: false,
    logprobs: true,
    top_logprobs: 2,
  }),
  create: await collect(
    await client.create({ model: 'npm-mario', from: model, system: 'You are Mario.', stream: true }),
  ),
  copy: await client.copy({ source: 'npm-mario', destination: 'npm-luigi' }),
  copied: await client.show({ model: 'npm-luigi' }),
  deleted: [
    await client.delete({ model: 'npm-mario' }),
    await client.delete({ model: 'npm-luigi' }),
  ],
  left: await client.list(),
  ps: await client.ps(),
  missing: await failure(() => client.chat({ model: 'npm-none', messages: [question] })),
  blind: await failure(() =>
    client.generate({ model, prompt: 'What is this?', images: [picture] }),
  ),
  aborted: await abortion(),
}
process.stdout.write(JSON.stringify(results))
