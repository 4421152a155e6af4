// A sigmoid network and its gradient by backpropagation, as an engine that gradcheck can check.
//
// Symbols, for layers l = 1..L and a batch of m examples:
//
//     X = a_0             inputs, m rows of n_0
//     W_l, b_l            weights, n_l rows of n_{l-1}, and biases, n_l
//     z_l, a_l            pre-activations and activations, m rows of n_l
//     Y                   targets in [0, 1], m rows of n_L
//     delta_l = dC/dz_l   error, m rows of n_l
//     M                   m for the reduction "mean", 1 for "sum"
//
// Replace `forward`, `loss` and `valueAndGrad` by calls of your own engine, and INFO by what it is.

"use strict";

const PROTOCOL = 1;

const INFO = {
  name: "example-javascript",
  version: "1",
  language: "JavaScript",
  dtypes: ["float64"],
  losses: ["cross_entropy", "quadratic"],
  reductions: ["mean", "sum"],
  deterministic: true,
  arithmetic: "cancellation_free", // the strictest class of rounding errors; see README.md
};

class Unsupported extends Error {}
class ProtocolError extends Error {}

// --- the network ---------------------------------------------------------------------------------

// With e = exp(-|z|), 0 <= e <= 1, nothing overflows and nothing cancels:
//     sigma(z)    = 1 / (1 + e) for z >= 0,  e / (1 + e) for z < 0
//     sigma'(z)   = e / (1 + e)^2
//     softplus(z) = log(1 + exp(z)) = max(z, 0) + log(1 + e)

function sigma(z) {
  const e = Math.exp(-Math.abs(z));
  return (z >= 0 ? 1 : e) / (1 + e);
}

function sigmaPrime(z) {
  const e = Math.exp(-Math.abs(z));
  return e / ((1 + e) * (1 + e));
}

function softplus(z) {
  return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
}

// a - y without cancellation where y is 0 or 1, as 1 - a = sigma(-z):
//     r = a - y = (1 - y) sigma(z) - y sigma(-z)

function residual(z, y) {
  return (1 - y) * sigma(z) - y * sigma(-z);
}

// cross-entropy:  C = -y log a - (1 - y) log(1 - a) = (1 - y) softplus(z) + y softplus(-z)
//                 dC/dz = r
// quadratic:      C = r^2 / 2,   dC/dz = r sigma'(z)

const LOSSES = {
  cross_entropy: {
    cost: (z, y) => (1 - y) * softplus(z) + y * softplus(-z),
    slope: residual,
  },
  quadratic: {
    cost: (z, y) => residual(z, y) ** 2 / 2,
    slope: (z, y) => residual(z, y) * sigmaPrime(z),
  },
};

// z_l = a_{l-1} W_l^T + b_l,   a_l = sigma(z_l)

function forward({ weights, biases, inputs }) {
  const zs = [];
  const activations = [];
  let a = inputs;
  for (let l = 0; l < weights.length; l++) {
    const [W, b] = [weights[l], biases[l]];
    activations.push(a);
    const z = a.map((row) => b.map((bias, i) => dot(row, W[i]) + bias));
    zs.push(z);
    a = z.map((row) => row.map(sigma));
  }
  return { zs, activations };
}

function dot(x, y) {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

// C is the sum over examples and outputs, divided by M.

function total(problem, z) {
  const { cost } = LOSSES[problem.loss];
  let sum = 0;
  z.forEach((row, i) => row.forEach((entry, k) => (sum += cost(entry, problem.targets[i][k]))));
  return sum / divisor(problem);
}

function divisor({ reduction, inputs }) {
  return reduction === "mean" ? inputs.length : 1;
}

function loss(problem) {
  return total(problem, forward(problem).zs.at(-1));
}

// delta_L     = dC/dz_L
// delta_{l-1} = (delta_l W_l) * sigma'(z_{l-1})
// dC/dW_l     = delta_l^T a_{l-1},   dC/db_l = sum over examples of delta_l

function valueAndGrad(problem) {
  const { zs, activations } = forward(problem);
  const { slope } = LOSSES[problem.loss];
  const M = divisor(problem);
  let delta = zs.at(-1).map((row, i) => row.map((z, k) => slope(z, problem.targets[i][k]) / M));
  const gradient = [];
  for (let l = zs.length - 1; l >= 0; l--) {
    const errors = transpose(delta); // n_l rows of m
    const inputs = transpose(activations[l]);
    gradient.unshift({
      W: errors.map((error) => inputs.map((input) => dot(error, input))),
      b: errors.map((error) => error.reduce((sum, entry) => sum + entry, 0)),
    });
    if (l > 0) {
      const columns = transpose(problem.weights[l]);
      const below = zs[l - 1];
      delta = delta.map((row, i) =>
        columns.map((column, k) => dot(row, column) * sigmaPrime(below[i][k])),
      );
    }
  }
  return { loss: total(problem, zs.at(-1)), gradient };
}

function transpose(rows) {
  return rows[0].map((_, k) => rows.map((row) => row[k]));
}

// --- the protocol --------------------------------------------------------------------------------

// JSON.stringify writes -0 as 0 and NaN as null. The shortest decimals of String(x) read back to x.

function encode(value) {
  if (typeof value === "number") {
    if (Object.is(value, -0)) return "-0.0";
    return Number.isFinite(value) ? String(value) : `"${value}"`; // "NaN", "Infinity", "-Infinity"
  }
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const field = ([key, part]) => `${JSON.stringify(key)}:${encode(part)}`;
    return `{${Object.entries(value).map(field).join(",")}}`;
  }
  return JSON.stringify(value);
}

const NONFINITE = { nan: NaN, inf: Infinity, infinity: Infinity };

function list(value, length) {
  if (!Array.isArray(value) || (length !== null && value.length !== length)) {
    throw new ProtocolError(length === null ? "no list" : `no list of ${length}`);
  }
  return value;
}

// Nested lists of the given lengths; null is any length.

function numbers(value, ...shape) {
  if (shape.length > 0) {
    const [length, ...rest] = shape;
    return list(value, length).map((entry) => numbers(entry, ...rest));
  }
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (typeof value === "string") {
    const size = NONFINITE[value.toLowerCase().replace(/^[+-]/, "")];
    if (size !== undefined) return value.startsWith("-") ? -size : size;
  }
  throw new ProtocolError(`${String(value).slice(0, 40)} is no number`);
}

function readProblem(problem) {
  if (typeof problem !== "object" || problem === null) throw new ProtocolError("no problem");
  const { sizes, dtype, loss, reduction } = problem;
  if (!INFO.dtypes.includes(dtype)) throw new Unsupported(`dtype ${dtype}`);
  if (!INFO.losses.includes(loss)) throw new Unsupported(`loss ${loss}`);
  if (!INFO.reductions.includes(reduction)) throw new Unsupported(`reduction ${reduction}`);
  const isSize = (n) => Number.isInteger(n) && n > 0;
  if (!Array.isArray(sizes) || sizes.length < 2 || !sizes.every(isSize)) {
    throw new ProtocolError("sizes must be two whole numbers or more");
  }
  const L = sizes.length - 1;
  const inputs = numbers(problem.inputs, null, sizes[0]);
  if (inputs.length === 0) throw new ProtocolError("inputs must have a row");
  return {
    loss,
    reduction,
    weights: list(problem.weights, L).map((W, l) => numbers(W, sizes[l + 1], sizes[l])),
    biases: list(problem.biases, L).map((b, l) => numbers(b, sizes[l + 1])),
    inputs,
    targets: numbers(problem.targets, inputs.length, sizes[L]),
  };
}

let started = false;
let stopped = false;

const COMMANDS = {
  start(message) {
    if (message.protocol !== PROTOCOL) throw new ProtocolError(`this is protocol ${PROTOCOL}`);
    started = true;
    return { protocol: PROTOCOL, engine: INFO };
  },
  echo: (message) => ({ values: numbers(message.values, null) }),
  loss: (message) => ({ loss: loss(readProblem(message.problem)) }),
  value_and_grad: (message) => ({
    ...valueAndGrad(readProblem(message.problem)),
    counts: { forward: 1, backward: 1 },
  }),
  stop() {
    stopped = true;
    return {};
  },
};

function read(line) {
  let message;
  try {
    message = JSON.parse(line);
  } catch (error) {
    throw new ProtocolError(`unreadable: ${error.message}`);
  }
  if (typeof message !== "object" || message === null || !Number.isInteger(message.id)) {
    throw new ProtocolError("a message is an object with an id");
  }
  return message;
}

function obey(message) {
  const { cmd } = message;
  if (!Object.hasOwn(COMMANDS, cmd)) throw new ProtocolError(`unknown cmd ${String(cmd)}`);
  if (!started && cmd !== "start" && cmd !== "stop") throw new ProtocolError(`${cmd} before start`);
  return COMMANDS[cmd](message);
}

function reply(line) {
  let id = null;
  try {
    const message = read(line);
    id = message.id;
    return { id, ok: true, ...obey(message) };
  } catch (error) {
    const message = error.message;
    if (error instanceof Unsupported) return { id, ok: false, kind: "unsupported", message };
    if (error instanceof ProtocolError) return { id, ok: false, kind: "protocol", message };
    return { id, ok: false, kind: "error", message, traceback: String(error.stack) };
  }
}

// Standard output is for the protocol only: what is printed goes to standard error.
console.log = console.info = console.debug = console.error;

let parts = [];

process.stdin.on("data", (chunk) => {
  let start = 0;
  for (let end; !stopped && (end = chunk.indexOf(10, start)) >= 0; start = end + 1) {
    parts.push(chunk.subarray(start, end));
    const line = Buffer.concat(parts).toString("utf8");
    parts = [];
    process.stdout.write(`${encode(reply(line))}\n`);
  }
  parts.push(chunk.subarray(start));
  if (stopped) process.stdin.destroy();
});
