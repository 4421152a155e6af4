/* A sigmoid network and its gradient by backpropagation, as an engine that gradcheck can check.
 *
 * Symbols, for layers l = 1..L and a batch of m examples:
 *
 *     X = a_0             inputs, m rows of n_0
 *     W_l, b_l            weights, n_l rows of n_{l-1}, and biases, n_l
 *     z_l, a_l            pre-activations and activations, m rows of n_l
 *     Y                   targets in [0, 1], m rows of n_L
 *     delta_l = dC/dz_l   error, m rows of n_l
 *     M                   m for the reduction "mean", 1 for "sum"
 *
 * Matrices are stored row by row. Arrays by layer are indexed from 1, as the symbols are.
 * Replace `forward`, `loss` and `backward` by calls of your own engine, and INFO by what it is.
 *
 * C99, its standard library and libm:  cc -std=c99 -O2 -o engine engine.c -lm
 */

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char INFO[] =
    "{\"name\":\"example-c\",\"version\":\"1\",\"language\":\"C\",\"dtypes\":[\"float64\"],"
    "\"losses\":[\"cross_entropy\",\"quadratic\"],\"reductions\":[\"mean\",\"sum\"],"
    /* the strictest class of rounding errors; see README.md */
    "\"deterministic\":true,\"arithmetic\":\"cancellation_free\"}";

/* --- failure and memory --------------------------------------------------------------------------
 *
 * Whatever goes wrong while a message is answered jumps back to `main`, which says so and goes on.
 * Memory is taken with `take` and given back, all at once, after each message.
 */

enum kind { PROTOCOL, UNSUPPORTED, ERROR };
static const char *const KINDS[] = {"protocol", "unsupported", "error"};

static jmp_buf failed;
static enum kind how;
static char why[200];

static void fail(enum kind kind, const char *format, ...) {
  how = kind;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  longjmp(failed, 1);
}

union block {
  union block *next;
  double align_double;
  long double align_long_double;
};

static union block *taken;

/* Take room for `count` times `size` bytes, set to zero. */
static void *take(size_t count, size_t size) {
  if (size != 0 && count > (SIZE_MAX - sizeof(union block)) / size) fail(ERROR, "out of memory");
  union block *block = calloc(1, sizeof *block + count * size);
  if (block == NULL) fail(ERROR, "out of memory");
  block->next = taken;
  taken = block;
  return block + 1;
}

static void give_back(void) {
  while (taken != NULL) {
    union block *block = taken;
    taken = block->next;
    free(block);
  }
}

static size_t product(size_t x, size_t y) {
  if (y != 0 && x > SIZE_MAX / y) fail(ERROR, "out of memory");
  return x * y;
}

static double *matrix(size_t rows, size_t columns) {
  return take(product(rows, columns), sizeof(double));
}

/* --- the network --------------------------------------------------------------------------------
 */

struct network {
  size_t L, m;
  size_t *n;             /* n[0..L] */
  double **W, **b;       /* of layer l at index l, 1..L */
  double *X, *Y;
  int is_quadratic, is_mean;
  double **z, **a;       /* z[1..L], a[0..L-1] */
  double **dW, **db;     /* dC/dW_l, dC/db_l */
};

/* With e = exp(-|z|), 0 <= e <= 1, nothing overflows and nothing cancels:
 *     sigma(z)    = 1 / (1 + e) for z >= 0,  e / (1 + e) for z < 0
 *     sigma'(z)   = e / (1 + e)^2
 *     softplus(z) = log(1 + exp(z)) = max(z, 0) + log(1 + e)
 */

static double sigma(double z) {
  double e = exp(-fabs(z));
  return (z >= 0 ? 1 : e) / (1 + e);
}

static double sigma_prime(double z) {
  double e = exp(-fabs(z));
  return e / ((1 + e) * (1 + e));
}

static double softplus(double z) { return fmax(z, 0) + log1p(exp(-fabs(z))); }

/* a - y without cancellation where y is 0 or 1, as 1 - a = sigma(-z):
 *     r = a - y = (1 - y) sigma(z) - y sigma(-z)
 */

static double residual(double z, double y) { return (1 - y) * sigma(z) - y * sigma(-z); }

/* cross-entropy:  C = -y log a - (1 - y) log(1 - a) = (1 - y) softplus(z) + y softplus(-z)
 *                 dC/dz = r
 * quadratic:      C = r^2 / 2,   dC/dz = r sigma'(z)
 */

static double cost(const struct network *net, double z, double y) {
  double r = residual(z, y);
  return net->is_quadratic ? r * r / 2 : (1 - y) * softplus(z) + y * softplus(-z);
}

static double slope(const struct network *net, double z, double y) {
  double r = residual(z, y);
  return net->is_quadratic ? r * sigma_prime(z) : r;
}

/* z_l = a_{l-1} W_l^T + b_l,   a_l = sigma(z_l) */

static void forward(struct network *net) {
  size_t m = net->m;
  net->a[0] = net->X;
  for (size_t l = 1; l <= net->L; l++) {
    size_t n = net->n[l], n_in = net->n[l - 1];
    net->z[l] = matrix(m, n);
    net->a[l] = matrix(m, n);
    for (size_t i = 0; i < m; i++) {
      for (size_t j = 0; j < n; j++) {
        double sum = 0;
        for (size_t k = 0; k < n_in; k++) {
          sum += net->a[l - 1][i * n_in + k] * net->W[l][j * n_in + k];
        }
        net->z[l][i * n + j] = sum + net->b[l][j];
        net->a[l][i * n + j] = sigma(net->z[l][i * n + j]);
      }
    }
  }
}

/* C is the sum over examples and outputs, divided by M. */

static double loss(const struct network *net) {
  double sum = 0;
  for (size_t i = 0; i < net->m * net->n[net->L]; i++) {
    sum += cost(net, net->z[net->L][i], net->Y[i]);
  }
  return net->is_mean ? sum / (double)net->m : sum;
}

/* delta_L     = dC/dz_L
 * delta_{l-1} = (delta_l W_l) * sigma'(z_{l-1})
 * dC/dW_l     = delta_l^T a_{l-1},   dC/db_l = sum over examples of delta_l
 */

static double *delta_below(const struct network *net, size_t l, const double *delta) {
  size_t m = net->m, n = net->n[l], n_in = net->n[l - 1];
  double *below = matrix(m, n_in);
  for (size_t i = 0; i < m; i++) {
    for (size_t k = 0; k < n_in; k++) {
      double sum = 0;
      for (size_t j = 0; j < n; j++) sum += delta[i * n + j] * net->W[l][j * n_in + k];
      below[i * n_in + k] = sum * sigma_prime(net->z[l - 1][i * n_in + k]);
    }
  }
  return below;
}

static void backward(struct network *net) {
  size_t m = net->m, n_L = net->n[net->L];
  double *delta = matrix(m, n_L);
  for (size_t i = 0; i < m * n_L; i++) {
    double d = slope(net, net->z[net->L][i], net->Y[i]);
    delta[i] = net->is_mean ? d / (double)m : d;
  }
  for (size_t l = net->L; l >= 1; l--) {
    size_t n = net->n[l], n_in = net->n[l - 1];
    net->dW[l] = matrix(n, n_in);
    net->db[l] = matrix(n, 1);
    for (size_t i = 0; i < m; i++) {
      for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < n_in; k++) {
          net->dW[l][j * n_in + k] += delta[i * n + j] * net->a[l - 1][i * n_in + k];
        }
        net->db[l][j] += delta[i * n + j];
      }
    }
    if (l > 1) delta = delta_below(net, l, delta);
  }
}

/* --- reading JSON -------------------------------------------------------------------------------
 */

enum type { NOTHING, NUMBER, TEXT, LIST, OBJECT };

struct value {
  enum type type;
  double number;
  char *text;                 /* with a NUL after it */
  size_t count;               /* entries of a list or an object */
  struct value *entries;
  char **keys;                /* of an object */
};

struct reader {
  const char *at;             /* the line ends with a NUL */
  int depth;
};

static struct value read_value(struct reader *in);

static void skip_space(struct reader *in) {
  while (*in->at == ' ' || *in->at == '\t' || *in->at == '\r' || *in->at == '\n') in->at++;
}

static int take_char(struct reader *in, char c) {
  skip_space(in);
  if (*in->at != c) return 0;
  in->at++;
  return 1;
}

static void need_char(struct reader *in, char c) {
  if (!take_char(in, c)) fail(PROTOCOL, "unreadable: '%c' is missing", c);
}

/* number = -? digits (. digits)? ([eE] [+-]? digits)? */
static double read_number(struct reader *in) {
  const char *p = in->at;
  if (*p == '-') p++;
  if (!isdigit((unsigned char)*p)) fail(PROTOCOL, "unreadable: no JSON value");
  while (isdigit((unsigned char)*p)) p++;
  if (*p == '.' && isdigit((unsigned char)p[1])) {
    p++;
    while (isdigit((unsigned char)*p)) p++;
  }
  if (*p == 'e' || *p == 'E') {
    const char *q = p + 1 + (p[1] == '+' || p[1] == '-');
    if (isdigit((unsigned char)*q)) {
      while (isdigit((unsigned char)*q)) q++;
      p = q;
    }
  }
  char *end;
  double number = strtod(in->at, &end);
  if (end != p) fail(PROTOCOL, "unreadable: not a JSON number");
  if (isinf(number)) fail(PROTOCOL, "a number is beyond the range of float64");
  in->at = p;
  return number;
}

static unsigned long read_hex(struct reader *in) {
  unsigned long code = 0;
  for (int i = 0; i < 4; i++, in->at++) {
    char c = *in->at;
    if (!isxdigit((unsigned char)c)) fail(PROTOCOL, "unreadable: \\u needs four digits");
    code = 16 * code + (unsigned long)(isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10);
  }
  return code;
}

/* Write an escape as UTF-8; each half of a surrogate pair on its own, as text is only compared. */
static char *read_escape(struct reader *in, char *out) {
  static const char NAMES[] = "\"\\/bfnrt", MEANT[] = "\"\\/\b\f\n\r\t";
  char c = *in->at;
  const char *name = c == 0 ? NULL : strchr(NAMES, c);
  if (name != NULL) {
    in->at++;
    *out++ = MEANT[name - NAMES];
    return out;
  }
  if (c != 'u') fail(PROTOCOL, "unreadable: unknown escape");
  in->at++;
  unsigned long code = read_hex(in);
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xE0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

static char *read_text(struct reader *in) {
  need_char(in, '"');
  size_t length = 0; /* no escape is shorter than what it stands for */
  for (const char *p = in->at; *p != '"'; p++, length++) {
    if (*p == '\\' && p[1] != 0) p++, length++;
    if ((unsigned char)*p < 0x20) fail(PROTOCOL, "unreadable: text without an end");
  }
  char *text = take(length + 1, 1), *out = text;
  while (*in->at != '"') {
    if (*in->at == '\\') {
      in->at++;
      out = read_escape(in, out);
    } else {
      *out++ = *in->at++;
    }
  }
  in->at++;
  return text;
}

/* Return an array with room for one more entry than `count`: the same, or twice as large. */
static void *grown(void *array, size_t count, size_t size) {
  if (count != 0 && (count & (count - 1)) != 0) return array; /* no power of two: not full */
  void *larger = take(count == 0 ? 1 : product(2, count), size);
  if (count != 0) memcpy(larger, array, count * size);
  return larger;
}

/* Read what follows [ or {. */
static void read_entries(struct reader *in, struct value *value) {
  char close = value->type == LIST ? ']' : '}';
  if (take_char(in, close)) return;
  do {
    if (value->type == OBJECT) {
      value->keys = grown(value->keys, value->count, sizeof *value->keys);
      value->keys[value->count] = read_text(in);
      need_char(in, ':');
    }
    struct value entry = read_value(in);
    value->entries = grown(value->entries, value->count, sizeof entry);
    value->entries[value->count++] = entry;
  } while (take_char(in, ','));
  need_char(in, close);
}

static int take_word(struct reader *in, const char *word) {
  if (strncmp(in->at, word, strlen(word)) != 0) return 0;
  in->at += strlen(word);
  return 1;
}

static struct value read_value(struct reader *in) {
  struct value value = {0};
  skip_space(in);
  if (++in->depth > 100) fail(PROTOCOL, "unreadable: nested too deeply");
  if (take_char(in, '[')) {
    value.type = LIST;
    read_entries(in, &value);
  } else if (take_char(in, '{')) {
    value.type = OBJECT;
    read_entries(in, &value);
  } else if (*in->at == '"') {
    value.type = TEXT;
    value.text = read_text(in);
  } else if (!take_word(in, "null") && !take_word(in, "true") && !take_word(in, "false")) {
    value.type = NUMBER;
    value.number = read_number(in);
  }
  in->depth--;
  return value;
}

static struct value read_line(const char *line, size_t length) {
  if (strlen(line) != length) fail(PROTOCOL, "unreadable: a NUL in the line");
  struct reader in = {line, 0};
  struct value message = read_value(&in);
  skip_space(&in);
  if (*in.at != 0) fail(PROTOCOL, "unreadable: more after the message");
  if (message.type != OBJECT) fail(PROTOCOL, "a message is a JSON object");
  return message;
}

/* --- reading a problem -------------------------------------------------------------------------
 */

static const struct value *field(const struct value *object, const char *key, enum type type) {
  if (object->type != OBJECT) fail(PROTOCOL, "an object with %s is needed", key);
  for (size_t i = 0; i < object->count; i++) {
    if (strcmp(object->keys[i], key) == 0 && object->entries[i].type == type) {
      return &object->entries[i];
    }
  }
  fail(PROTOCOL, "%s is missing, or of the wrong type", key);
  return NULL;
}

static int equal_ignoring_case(const char *x, const char *y) {
  for (; *x != 0 && tolower((unsigned char)*x) == *y; x++, y++) continue;
  return *x == *y;
}

/* A number, or the name of one that is not finite. */
static double number_of(const struct value *value) {
  if (value->type == NUMBER) return value->number;
  if (value->type == TEXT) {
    double sign = value->text[0] == '-' ? -1 : 1;
    const char *name = value->text + (value->text[0] == '-' || value->text[0] == '+');
    if (equal_ignoring_case(name, "nan")) return NAN;
    if (equal_ignoring_case(name, "inf")) return sign * INFINITY;
    if (equal_ignoring_case(name, "infinity")) return sign * INFINITY;
  }
  fail(PROTOCOL, "a number is needed");
  return 0;
}

static void read_row(const struct value *row, size_t length, double *out) {
  if (row->type != LIST || row->count != length) fail(PROTOCOL, "a list of wrong length");
  for (size_t i = 0; i < length; i++) out[i] = number_of(&row->entries[i]);
}

static double *read_matrix(const struct value *rows, size_t count, size_t length) {
  if (rows->type != LIST || rows->count != count) fail(PROTOCOL, "a list of wrong length");
  double *out = matrix(count, length);
  for (size_t i = 0; i < count; i++) read_row(&rows->entries[i], length, out + i * length);
  return out;
}

static int is_second(const struct value *problem, const char *key, const char *first,
                     const char *second) {
  const char *text = field(problem, key, TEXT)->text;
  if (strcmp(text, second) == 0) return 1;
  if (strcmp(text, first) != 0) fail(UNSUPPORTED, "%s %.50s", key, text);
  return 0;
}

static void read_sizes(const struct value *problem, struct network *net) {
  const struct value *sizes = field(problem, "sizes", LIST);
  if (sizes->count < 2) fail(PROTOCOL, "sizes must be two numbers or more");
  net->L = sizes->count - 1;
  net->n = take(sizes->count, sizeof *net->n);
  for (size_t l = 0; l <= net->L; l++) {
    double n = number_of(&sizes->entries[l]);
    if (!(n >= 1 && n <= 1e15 && n == floor(n))) fail(PROTOCOL, "sizes must be whole numbers");
    net->n[l] = (size_t)n;
  }
}

static double **layers(const struct network *net) { return take(net->L + 1, sizeof(double *)); }

static struct network read_problem(const struct value *message) {
  struct network net = {0};
  const struct value *problem = field(message, "problem", OBJECT);
  const char *dtype = field(problem, "dtype", TEXT)->text;
  if (strcmp(dtype, "float64") != 0) fail(UNSUPPORTED, "dtype %.50s", dtype);
  net.is_quadratic = is_second(problem, "loss", "cross_entropy", "quadratic");
  net.is_mean = is_second(problem, "reduction", "sum", "mean");
  read_sizes(problem, &net);
  const struct value *W = field(problem, "weights", LIST), *b = field(problem, "biases", LIST);
  if (W->count != net.L || b->count != net.L) fail(PROTOCOL, "weights or biases miss a layer");
  net.W = layers(&net), net.b = layers(&net), net.z = layers(&net), net.a = layers(&net);
  net.dW = layers(&net), net.db = layers(&net);
  for (size_t l = 1; l <= net.L; l++) {
    net.W[l] = read_matrix(&W->entries[l - 1], net.n[l], net.n[l - 1]);
    net.b[l] = matrix(net.n[l], 1);
    read_row(&b->entries[l - 1], net.n[l], net.b[l]);
  }
  const struct value *X = field(problem, "inputs", LIST);
  net.m = X->count;
  if (net.m == 0) fail(PROTOCOL, "inputs must have a row");
  net.X = read_matrix(X, net.m, net.n[0]);
  net.Y = read_matrix(field(problem, "targets", LIST), net.m, net.n[net.L]);
  return net;
}

/* --- replies ------------------------------------------------------------------------------------
 *
 * 17 digits tell every float64 from its neighbours. A reply is printed when nothing can fail.
 */

static void print_number(double x) {
  if (isnan(x)) {
    printf("\"NaN\"");
  } else if (isinf(x)) {
    printf(x > 0 ? "\"Infinity\"" : "\"-Infinity\"");
  } else {
    printf("%.17g", x);
  }
}

static void print_row(const double *row, size_t length) {
  putchar('[');
  for (size_t i = 0; i < length; i++) {
    if (i > 0) putchar(',');
    print_number(row[i]);
  }
  putchar(']');
}

static void print_gradient(const struct network *net) {
  printf(",\"gradient\":[");
  for (size_t l = 1; l <= net->L; l++) {
    printf(l > 1 ? ",{\"W\":[" : "{\"W\":[");
    for (size_t j = 0; j < net->n[l]; j++) {
      if (j > 0) putchar(',');
      print_row(net->dW[l] + j * net->n[l - 1], net->n[l - 1]);
    }
    printf("],\"b\":");
    print_row(net->db[l], net->n[l]);
    putchar('}');
  }
  printf("],\"counts\":{\"forward\":1,\"backward\":1}");
}

/* Begin a reply; `id` is not a number where the message had none. */
static void print_head(double id, int is_ok) {
  printf("{\"id\":");
  if (isnan(id)) {
    printf("null");
  } else {
    printf("%.0f", id);
  }
  printf(is_ok ? ",\"ok\":true" : ",\"ok\":false");
}

static void print_failure(double id) {
  print_head(id, 0);
  printf(",\"kind\":\"%s\",\"message\":\"", KINDS[how]);
  for (const char *p = why; *p != 0; p++) {
    putchar(*p == '"' || *p == '\\' || *p < 0x20 || *p > 0x7E ? '?' : *p);
  }
  printf("\"}\n");
}

/* --- the conversation -------------------------------------------------------------------------
 */

static int started, stopped;

static void answer_problem(double id, const struct value *message, int wants_gradient) {
  struct network net = read_problem(message);
  forward(&net);
  if (wants_gradient) backward(&net);
  print_head(id, 1);
  printf(",\"loss\":");
  print_number(loss(&net));
  if (wants_gradient) print_gradient(&net);
}

static void answer_echo(double id, const struct value *message) {
  const struct value *values = field(message, "values", LIST);
  double *numbers = matrix(values->count, 1);
  read_row(values, values->count, numbers);
  print_head(id, 1);
  printf(",\"values\":");
  print_row(numbers, values->count);
}

static void answer(double id, const struct value *message) {
  const char *command = field(message, "cmd", TEXT)->text;
  int is_start = strcmp(command, "start") == 0, is_stop = strcmp(command, "stop") == 0;
  if (!started && !is_start && !is_stop) fail(PROTOCOL, "%.50s before start", command);
  if (is_start) {
    if (field(message, "protocol", NUMBER)->number != 1) fail(PROTOCOL, "this is protocol 1");
    started = 1;
    print_head(id, 1);
    printf(",\"protocol\":1,\"engine\":%s", INFO);
  } else if (is_stop) {
    stopped = 1;
    print_head(id, 1);
  } else if (strcmp(command, "echo") == 0) {
    answer_echo(id, message);
  } else if (strcmp(command, "loss") == 0) {
    answer_problem(id, message, 0);
  } else if (strcmp(command, "value_and_grad") == 0) {
    answer_problem(id, message, 1);
  } else {
    fail(PROTOCOL, "unknown cmd %.50s", command);
  }
  printf("}\n");
}

struct line {
  char *text; /* with a NUL after it */
  size_t room, length;
  int fits; /* into memory */
};

static int grow(struct line *line) {
  size_t room = line->room < 4096 ? 4096 : 2 * line->room;
  char *text = room > line->room ? realloc(line->text, room) : NULL;
  if (text == NULL) return 0;
  line->text = text;
  line->room = room;
  return 1;
}

/* Read a line of any length, to its end even where it does not fit; return 0 at the end of input. */
static int next_line(struct line *line) {
  int c = getchar();
  if (c == EOF) return 0;
  line->length = 0;
  line->fits = 1;
  for (; c != EOF && c != '\n'; c = getchar()) {
    if (line->fits && line->length + 2 > line->room) line->fits = grow(line);
    if (line->fits) line->text[line->length++] = (char)c;
  }
  if (line->fits && line->room == 0) line->fits = grow(line);
  if (line->fits) line->text[line->length] = 0;
  return 1;
}

static void converse(const struct line *line) {
  static double id; /* static: kept over longjmp */
  id = NAN;
  if (setjmp(failed) == 0) {
    if (!line->fits) fail(ERROR, "out of memory");
    struct value message = read_line(line->text, line->length);
    id = field(&message, "id", NUMBER)->number;
    answer(id, &message);
  } else {
    print_failure(id);
  }
  give_back();
}

int main(void) {
  struct line line = {0};
  while (!stopped && next_line(&line)) {
    converse(&line);
    if (fflush(stdout) != 0) return 1;
  }
  free(line.text);
  return 0;
}
