#include <string.h>

#include "policy/rego/regex_class.h"
#include "policy/rego/utf8.h"

enum flags { FLAG_FOLD = 1, FLAG_LINES = 2, FLAG_DOT_ALL = 4, FLAG_UNGREEDY = 8 };

struct parser {
    struct arena *arena;
    const char   *at;
    size_t        len;
    size_t        i;
    unsigned      flags;
    uint32_t      n_groups;
    uint32_t      depth;
    uint32_t      ranges_left;
    struct err   *err;
    struct bytes  names[REGEX_GROUPS_MAX];
};

static bool wrong(struct parser *p, const char *what, size_t from, size_t to)
{
    size_t n = to > from ? to - from : 0;

    return fail_with(p->err, ERR_MALFORMED, "error parsing regexp: %s: `%.*s`", what, (int) (n < 60 ? n : 60), p->at + from);
}

static bool too_large(struct parser *p, const char *what)
{
    return fail_with(p->err, ERR_LIMIT, "regular expression: %s", what);
}

static struct node *node_new(struct parser *p, enum node_kind kind)
{
    struct node *n = arena_zeroed(p->arena, sizeof *n);

    if (n)
        n->kind = kind;
    else
        (void) too_large(p, "memory");
    return n;
}

static bool more(const struct parser *p)
{
    return p->i < p->len;
}

static bool looking_at(const struct parser *p, const char *text)
{
    size_t n = strlen(text);

    return p->len - p->i >= n && memcmp(p->at + p->i, text, n) == 0;
}

static uint32_t next_rune(struct parser *p)
{
    uint32_t rune;

    p->i += utf8_step(p->at + p->i, p->len - p->i, &rune);
    return rune;
}

static struct class_builder builder_of(struct parser *p)
{
    return (struct class_builder){ .arena = p->arena, .budget = &p->ranges_left };
}

static struct node *class_node(struct parser *p, struct class_builder *b, bool negated)
{
    struct node *n = node_new(p, NODE_CLASS);

    if (!n)
        return NULL;
    n->set = class_done(b, p->flags & FLAG_FOLD, negated);
    if (!n->set) {
        (void) too_large(p, "character classes");
        return NULL;
    }
    return n;
}

static struct node *rune_node(struct parser *p, uint32_t rune)
{
    struct class_builder b = builder_of(p);
    struct node         *n;

    if (p->flags & FLAG_FOLD) {
        class_add(&b, rune, rune);
        return class_node(p, &b, false);
    }
    n = node_new(p, NODE_RUNE);
    if (n)
        n->value = rune;
    return n;
}

static struct node *assert_node(struct parser *p, enum assertion which)
{
    struct node *n = node_new(p, NODE_ASSERT);

    if (n)
        n->value = which;
    return n;
}

static int hex_of(char ch)
{
    return ch >= '0' && ch <= '9' ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* \x41 or \x{10ffff}; p->i is behind the x */
static bool read_hex(struct parser *p, uint32_t *out)
{
    bool   braced = more(p) && p->at[p->i] == '{';
    size_t n      = 0;

    p->i += braced;

    for (*out = 0; more(p) && hex_of(p->at[p->i]) >= 0 && (braced || n < 2) && *out <= 0x10ffff; p->i++, n++)
        *out = *out * 16 + (uint32_t) hex_of(p->at[p->i]);
    if (braced ? n == 0 || !more(p) || p->at[p->i] != '}' : n != 2)
        return false;
    p->i += braced;
    return *out <= 0x10ffff;
}

static bool read_octal(struct parser *p, uint32_t first, uint32_t *out)
{
    *out = first - '0';
    for (int n = 1; n < 3 && more(p) && p->at[p->i] >= '0' && p->at[p->i] <= '7'; n++)
        *out = *out * 8 + (uint32_t) (p->at[p->i++] - '0');
    return true;
}

static bool is_word_char(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

/* An escape that stands for one code point; p->i is at the backslash. */
static bool read_escape(struct parser *p, uint32_t *out)
{
    static const char from[] = "afnrtv", into[] = "\a\f\n\r\t\v";
    size_t            start  = p->i++;
    uint32_t          c;
    const char       *known;

    if (!more(p))
        return wrong(p, "trailing backslash at end of expression", 0, 0);
    c = next_rune(p);
    if (c < 0x80 && !is_word_char(c)) {
        *out = c;
        return true;
    }
    if (c == 'x' && read_hex(p, out))
        return true;
    if (c >= '1' && c <= '7' && more(p) && p->at[p->i] >= '0' && p->at[p->i] <= '7')
        return read_octal(p, c, out);
    if (c == '0')
        return read_octal(p, c, out);
    known = c < 0x80 && c > 0 ? strchr(from, (int) c) : NULL;
    if (!known)
        return wrong(p, "invalid escape sequence", start, p->i);
    *out = (uint8_t) into[known - from];
    return true;
}

/* \pL or \p{^Greek}; p->i is at the backslash. `added` false: something else stands here. */
static bool read_unicode(struct parser *p, struct class_builder *b, bool *added)
{
    size_t       start   = p->i;
    bool         negated = looking_at(p, "\\P");
    struct bytes name;

    *added = negated || looking_at(p, "\\p");
    if (!*added)
        return true;
    p->i += 2;
    if (!more(p))
        return wrong(p, "invalid character class range", start, p->i);
    if (p->at[p->i] == '{') {
        const char *end = memchr(p->at + p->i, '}', p->len - p->i);

        if (!end)
            return wrong(p, "invalid character class range", start, p->len);
        name = (struct bytes){ (const uint8_t *) p->at + p->i + 1, (size_t) (end - p->at) - p->i - 1 };
        p->i = (size_t) (end - p->at) + 1;
    } else {
        size_t from = p->i;

        (void) next_rune(p); /* its length is what is wanted */
        name = (struct bytes){ (const uint8_t *) p->at + from, p->i - from };
    }
    if (name.len > 0 && name.at[0] == '^') {
        negated = !negated;
        name    = (struct bytes){ name.at + 1, name.len - 1 };
    }
    if (!class_add_unicode(b, name, negated))
        return wrong(p, "invalid character class range", start, p->i);
    return true;
}

/* \d and the like; p->i is at the backslash. */
static bool read_perl(struct parser *p, struct class_builder *b)
{
    if (p->len - p->i < 2 || !class_add_perl(b, p->at[p->i + 1]))
        return false;
    p->i += 2;
    return true;
}

static bool read_posix(struct parser *p, struct class_builder *b, bool *added)
{
    const char  *end = looking_at(p, "[:") ? memmem(p->at + p->i + 2, p->len - p->i - 2, ":]", 2) : NULL;
    size_t       start = p->i;
    bool         negated;
    struct bytes name;

    *added = end != NULL;
    if (!end)
        return true;
    negated = p->at[p->i + 2] == '^';
    name    = (struct bytes){ (const uint8_t *) p->at + p->i + 2 + negated, (size_t) (end - p->at) - p->i - 2 - negated };
    p->i    = (size_t) (end - p->at) + 2;
    if (!class_add_posix(b, name, negated))
        return wrong(p, "invalid character class range", start, p->i);
    return true;
}

static bool read_class_rune(struct parser *p, size_t start, uint32_t *out)
{
    if (!more(p))
        return wrong(p, "missing closing ]", start, p->len);
    if (p->at[p->i] == '\\')
        return read_escape(p, out);
    *out = next_rune(p);
    return true;
}

static bool read_range(struct parser *p, size_t start, struct class_builder *b)
{
    size_t   from = p->i;
    uint32_t low, high;

    if (!read_class_rune(p, start, &low))
        return false;
    high = low;
    if (p->len - p->i >= 2 && p->at[p->i] == '-' && p->at[p->i + 1] != ']') {
        p->i++;
        if (!read_class_rune(p, start, &high))
            return false;
        if (high < low)
            return wrong(p, "invalid character class range", from, p->i);
    }
    class_add(b, low, high);
    return true;
}

/* p->i is behind the opening bracket, which is at `start`. */
static struct node *read_class(struct parser *p, size_t start)
{
    struct class_builder b       = builder_of(p);
    bool                 negated = more(p) && p->at[p->i] == '^', first = true, added;

    p->i += negated;
    for (; !more(p) || p->at[p->i] != ']' || first; first = false) {
        if (!more(p)) {
            (void) wrong(p, "missing closing ]", start, p->len);
            return NULL;
        }
        if (!read_posix(p, &b, &added))
            return NULL;
        if (added || (p->at[p->i] == '\\' && read_perl(p, &b)))
            continue;
        if (p->at[p->i] == '\\') {
            if (!read_unicode(p, &b, &added))
                return NULL;
            if (added)
                continue;
        }
        if (!read_range(p, start, &b))
            return NULL;
    }
    p->i++;
    return class_node(p, &b, negated);
}

static struct node *read_either(struct parser *p);

/* (?i), (?i-s:…), (?P<name>…): p->i is behind "(?". Sets `is_group` when a group follows; -1 stays uncounted. */
static bool read_flags(struct parser *p, size_t start, bool *is_group)
{
    unsigned flags = p->flags;
    bool     negative = false, any = false;

    for (; more(p); p->i++) {
        unsigned flag = p->at[p->i] == 'i' ? FLAG_FOLD : p->at[p->i] == 'm' ? FLAG_LINES : p->at[p->i] == 's' ? FLAG_DOT_ALL
                      : p->at[p->i] == 'U' ? FLAG_UNGREEDY : 0;

        if (flag) {
            flags = negative ? flags & ~flag : flags | flag;
            any   = true;
        } else if (p->at[p->i] == '-' && !negative) {
            negative = true;
            any      = false;
        } else if ((p->at[p->i] == ':' || p->at[p->i] == ')') && (!negative || any)) {
            *is_group = p->at[p->i++] == ':';
            p->flags  = flags;
            return true;
        } else {
            break;
        }
    }
    return wrong(p, more(p) ? "invalid or unsupported Perl syntax" : "missing argument to repetition operator", start,
                 more(p) ? p->i + 1 : p->len);
}

static bool read_group_name(struct parser *p, size_t start)
{
    const char *end  = memchr(p->at + p->i, '>', p->len - p->i);
    size_t      from = p->i;

    if (!end)
        return wrong(p, "invalid named capture", start, p->len);
    for (; p->at[p->i] != '>'; p->i++)
        if (!is_word_char((uint8_t) p->at[p->i]))
            return wrong(p, "invalid named capture", start, (size_t) (end - p->at) + 1);
    if (p->i == from)
        return wrong(p, "invalid named capture", start, p->i + 1);

    struct bytes name = { (const uint8_t *) p->at + from, p->i - from };
    for (uint32_t g = 1; g < p->n_groups; g++)
        if (bytes_equal(p->names[g], name))
            return wrong(p, "duplicate capture group name", from, p->i);
    if (p->n_groups < REGEX_GROUPS_MAX)
        p->names[p->n_groups] = name;
    p->i++;
    return true;
}

static struct node *close_group(struct parser *p, unsigned flags, uint32_t number)
{
    struct node *inner = read_either(p), *group;

    if (!inner)
        return NULL;
    if (!more(p)) {
        (void) wrong(p, "missing closing )", 0, p->len);
        return NULL;
    }
    p->i++;
    p->flags = flags;
    p->depth--;
    if (number == 0)
        return inner;
    group = node_new(p, NODE_GROUP);
    if (!group)
        return NULL;
    group->value = number;
    group->sub   = inner;
    return group;
}

/* p->i is at the opening parenthesis. */
static struct node *read_group(struct parser *p)
{
    size_t   start  = p->i++;
    unsigned flags  = p->flags;
    uint32_t number = 0;
    bool     is_group = true, counted = true;

    if (looking_at(p, "?P<") || looking_at(p, "?<")) {
        if (looking_at(p, "?<=") || looking_at(p, "?<!")) {
            (void) wrong(p, "invalid or unsupported Perl syntax", start, p->i + 3);
            return NULL;
        }
        p->i += looking_at(p, "?<") ? 2 : 3;
        if (!read_group_name(p, start))
            return NULL;
    } else if (looking_at(p, "?")) {
        p->i++;
        counted = false;
        if (!read_flags(p, start, &is_group))
            return NULL;
    }
    if (!is_group)
        return node_new(p, NODE_EMPTY);
    if (++p->depth > REGEX_DEPTH_MAX) {
        (void) too_large(p, "nested groups");
        return NULL;
    }
    if (counted) {
        if (p->n_groups >= REGEX_GROUPS_MAX) {
            (void) too_large(p, "groups");
            return NULL;
        }
        number = p->n_groups++;
    }
    return close_group(p, flags, number);
}

static struct node *read_backslash(struct parser *p)
{
    struct class_builder b = builder_of(p);
    uint32_t             rune;
    bool                 added;
    char                 c = p->i + 1 < p->len ? p->at[p->i + 1] : '\0';

    if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
        p->i += 2;
        return assert_node(p, c == 'A' ? ASSERT_TEXT_START : c == 'z' ? ASSERT_TEXT_END : c == 'b' ? ASSERT_WORD : ASSERT_NO_WORD);
    }
    if (c == 'C') {
        (void) wrong(p, "invalid escape sequence", p->i, p->i + 2);
        return NULL;
    }
    if (read_perl(p, &b))
        return class_node(p, &b, false);
    if (!read_unicode(p, &b, &added))
        return NULL;
    if (added)
        return class_node(p, &b, false);
    return read_escape(p, &rune) ? rune_node(p, rune) : NULL;
}

static struct node *read_atom(struct parser *p)
{
    size_t start = p->i;

    switch (p->at[p->i]) {
    case '(':
        return read_group(p);
    case '[':
        p->i++;
        return read_class(p, start);
    case '\\':
        return read_backslash(p);
    case '^':
        p->i++;
        return assert_node(p, p->flags & FLAG_LINES ? ASSERT_LINE_START : ASSERT_TEXT_START);
    case '$':
        p->i++;
        return assert_node(p, p->flags & FLAG_LINES ? ASSERT_LINE_END : ASSERT_TEXT_END);
    case '.':
        p->i++;
        return node_new(p, p->flags & FLAG_DOT_ALL ? NODE_ANY : NODE_ANY_BUT_NEWLINE);
    case '*': case '+': case '?':
        (void) wrong(p, "missing argument to repetition operator", start, start + 1);
        return NULL;
    default:
        return rune_node(p, next_rune(p));
    }
}

static bool read_number(struct parser *p, size_t *i, uint32_t *out)
{
    size_t from = *i;

    for (*out = 0; *i < p->len && p->at[*i] >= '0' && p->at[*i] <= '9'; ++*i)
        *out = *out > 99999 ? *out : *out * 10 + (uint32_t) (p->at[*i] - '0');
    return *i > from && !(p->at[from] == '0' && *i > from + 1);
}

/* {n}, {n,}, {n,m}: anything else is literal text. */
static bool read_braces(struct parser *p, uint32_t *min, uint32_t *max)
{
    size_t i = p->i + 1;

    if (!read_number(p, &i, min))
        return false;
    *max = *min;
    if (i < p->len && p->at[i] == ',') {
        i++;
        if (i < p->len && p->at[i] == '}')
            *max = REPEAT_FOREVER;
        else if (!read_number(p, &i, max))
            return false;
    }
    if (i >= p->len || p->at[i] != '}')
        return false;
    p->i = i + 1;
    return true;
}

static bool read_operator(struct parser *p, uint32_t *min, uint32_t *max)
{
    char c = more(p) ? p->at[p->i] : '\0';

    if (c == '{')
        return read_braces(p, min, max);
    if (c != '*' && c != '+' && c != '?')
        return false;
    *min = c == '+';
    *max = c == '?' ? 1 : REPEAT_FOREVER;
    p->i++;
    return true;
}

/* The largest product of nested counts; each level at most REGEX_REPEAT_MAX is what Go allows. */
static uint64_t repeat_product(const struct node *n)
{
    uint64_t most = 1, own = 1;

    for (const struct node *s = n->sub; s; s = s->next) {
        uint64_t inner = repeat_product(s);

        most = inner > most ? inner : most;
    }
    if (n->kind == NODE_REPEAT && !(n->min <= 1 && (n->max == REPEAT_FOREVER || n->max == 1)))
        own = n->max == REPEAT_FOREVER ? n->min : n->max;
    return (own ? own : 1) * most;
}

static struct node *repeat(struct parser *p, struct node *atom, uint32_t min, uint32_t max, size_t from)
{
    struct node *n;

    if (min > REGEX_REPEAT_MAX || (max != REPEAT_FOREVER && (max > REGEX_REPEAT_MAX || max < min))) {
        (void) wrong(p, "invalid repeat count", from, p->i);
        return NULL;
    }
    n = node_new(p, NODE_REPEAT);
    if (!n)
        return NULL;
    n->min    = min;
    n->max    = max;
    n->sub    = atom;
    n->greedy = !(p->flags & FLAG_UNGREEDY);
    if (more(p) && p->at[p->i] == '?') {
        p->i++;
        n->greedy = !n->greedy;
    }
    if (repeat_product(n) > REGEX_REPEAT_MAX) {
        (void) wrong(p, "invalid repeat count", from, p->i);
        return NULL;
    }
    return n;
}

static struct node *read_repeated(struct parser *p)
{
    struct node *n = read_atom(p);
    uint32_t     min, max;
    bool         is_repeated = false;
    size_t       before = 0; /* where the operator before stands */

    while (n) {
        size_t from = p->i;

        if (!read_operator(p, &min, &max))
            break;
        if (is_repeated) {
            (void) wrong(p, "invalid nested repetition operator", before, p->i);
            return NULL;
        }
        n           = repeat(p, n, min, max, from);
        is_repeated = true;
        before      = from;
    }
    return n;
}

/* \Q…\E: the text stands for itself, and the last of it may be repeated. */
static bool read_quoted(struct parser *p, struct node ***tail)
{
    struct node **last = NULL;
    uint32_t      min, max;

    p->i += 2;
    while (more(p) && !looking_at(p, "\\E")) {
        struct node *n = rune_node(p, next_rune(p));

        if (!n)
            return false;
        last   = *tail;
        **tail = n;
        *tail  = &n->next;
    }
    if (more(p))
        p->i += 2;

    size_t from = p->i;
    if (!last || !read_operator(p, &min, &max))
        return true;
    *last = repeat(p, *last, min, max, from);
    if (!*last)
        return false;
    *tail = &(*last)->next;
    return true;
}

static struct node *read_concat(struct parser *p)
{
    struct node *whole = node_new(p, NODE_CONCAT), **tail = whole ? &whole->sub : NULL;

    if (!whole)
        return NULL;
    while (more(p) && p->at[p->i] != '|' && p->at[p->i] != ')') {
        if (looking_at(p, "\\Q")) {
            if (!read_quoted(p, &tail))
                return NULL;
            continue;
        }
        struct node *n = read_repeated(p);
        if (!n)
            return NULL;
        *tail = n;
        tail  = &n->next;
    }
    return whole;
}

static struct node *read_either(struct parser *p)
{
    struct node *whole = node_new(p, NODE_EITHER), **tail = whole ? &whole->sub : NULL;

    if (!whole)
        return NULL;
    for (;;) {
        struct node *n = read_concat(p);

        if (!n)
            return NULL;
        *tail = n;
        tail  = &n->next;
        if (!more(p) || p->at[p->i] != '|')
            return whole;
        p->i++;
    }
}

FALLIBLE regex_parse(struct arena *a, struct bytes pattern, struct regex_tree *out, struct err *err)
{
    struct parser *p = arena_zeroed(a, sizeof *p);
    struct node   *root;

    if (!p)
        return fail_with(err, ERR_LIMIT, "regular expression: memory");
    *p = (struct parser){ .arena = a, .at = (const char *) pattern.at, .len = pattern.len, .n_groups = 1,
                          .ranges_left = REGEX_RANGES_MAX, .err = err };
    if (pattern.len > REGEX_PATTERN_MAX)
        return too_large(p, "pattern too long");
    if (!utf8_valid(p->at, p->len))
        return wrong(p, "invalid UTF-8", 0, 0);
    root = read_either(p);
    if (!root)
        return false;
    if (more(p))
        return wrong(p, "unexpected )", 0, p->len);
    *out = (struct regex_tree){ .root = root, .n_groups = p->n_groups, .names = p->names };
    return true;
}
