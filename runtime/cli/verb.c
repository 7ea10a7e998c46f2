#include "runtime/cli/verb.h"

#include <stdio.h>
#include <string.h>

#include "runtime/cli/broker_access.h"

enum { WORDS_MAX = 32, SLIPS_MAX = 2 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many letters are changed, added, left out, or swapped with their neighbour. Both are short. */
static size_t slips(const char *a, const char *b)
{
    size_t rows[3][VERB_WORD_MAX + 1] = { { 0 } }, n = strlen(a), m = strlen(b);

    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

const char *word_meant(const char *word, const char *const *words, size_t n)
{
    const char *best  = NULL;
    size_t      fewest = SLIPS_MAX + 1, len = strlen(word);

    for (size_t i = 0; i < n && len <= VERB_WORD_MAX; i++) {
        size_t found = strlen(words[i]) <= VERB_WORD_MAX ? slips(word, words[i]) : fewest;

        if (found < fewest && found < len) {
            fewest = found;
            best   = words[i];
        }
    }
    return best;
}

static bool is_of_a_verb(char c) { return (c >= 'a' && c <= 'z') || c == '-'; }

/* The words in lower case up to a semicolon. */
static size_t verbs_of(const char *wanted, char out[static WORDS_MAX][VERB_WORD_MAX + 1])
{
    size_t n = 0;

    for (const char *at = wanted; *at && *at != ';' && n < WORDS_MAX;) {
        size_t len = 0;

        while (is_of_a_verb(at[len]))
            len++;
        if (len > 1 && len <= VERB_WORD_MAX && at[0] != '-' && strncmp(at, "or ", 3) != 0)
            (void) snprintf(out[n++], VERB_WORD_MAX + 1, "%.*s", (int) len, at); /* fits: asked above */
        at += len ? len : 1;
    }
    return n;
}

int verb_refuse(const char *command, const char *word, const char *wanted)
{
    char        verbs[WORDS_MAX][VERB_WORD_MAX + 1];
    const char *words[WORDS_MAX];
    size_t      n    = verbs_of(wanted, verbs);
    const char *meant;

    for (size_t i = 0; i < n; i++)
        words[i] = verbs[i];
    meant = word ? word_meant(word, words, n) : NULL;
    if (!word)
        fprintf(stderr, "cloister: %s: wanted is %s\n", command, wanted);
    else if (meant)
        fprintf(stderr, "cloister: %s: there is no \"%.40s\": did you mean %s? wanted is %s\n", command, word, meant, wanted);
    else
        fprintf(stderr, "cloister: %s: there is no \"%.40s\"; wanted is %s\n", command, word, wanted);
    return VERB_UNUSABLE;
}

int verb_misused(const char *command, const char *verb, const char *synopsis)
{
    size_t      len = strlen(verb);
    const char *at  = synopsis;
    size_t      operands;

    while (at && (strncmp(at, verb, len) != 0 || is_of_a_verb(at[len])))
        at = strstr(at, " | ") ? strstr(at, " | ") + 3 : NULL;
    at       = at ? at + len : "";
    operands = strstr(at, "   [") ? (size_t) (strstr(at, "   [") - at) : strlen(at);
    operands = strstr(at, " | ") ? least(operands, (size_t) (strstr(at, " | ") - at)) : operands;
    if (operands == 0 || at[0] != ' ' || at[1] == '[')
        fprintf(stderr, "cloister: %s %s: nothing but options is wanted behind it; see cloister %s %s --help\n", command, verb, command, verb);
    else
        fprintf(stderr, "cloister: %s %s: wanted is%.*s; see cloister %s %s --help\n", command, verb, (int) operands, at, command, verb);
    return VERB_UNUSABLE;
}

static int told(const char *command, const struct err *why, int code)
{
    fprintf(stderr, "cloister: %s: %s\n", command, why->text);
    return code;
}

static FALLIBLE run(const struct verb *verb, const struct broker_access *access, const void *owner, struct err *err)
{
    AUTO(admin_client) struct admin_client *client = NULL;

    return ((verb->is_offline || broker_access_open(access, &client, err)) && verb->run(client, owner, err)) ||
           broker_access_advise(access, err);
}

int verbs_run(const char *command, const struct option_table *table, const struct verb *verbs, size_t n_verbs,
              const struct broker_access *access, const void *owner, char ***operands, int argc, char **argv)
{
    const struct verb   *verb = NULL;
    enum options_outcome outcome;
    char               **words;
    size_t               n;
    struct err           err;

    if (!options_parse(table, argc, argv, &outcome, &words, &n, &err))
        return told(command, &err, VERB_UNUSABLE);
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    for (size_t i = 0; i < n_verbs && n > 0; i++)
        verb = strcmp(verbs[i].name, words[0]) == 0 ? &verbs[i] : verb;
    if (!verb)
        return verb_refuse(command, n > 0 ? words[0] : NULL, table->synopsis);
    if (n - 1 != verb->n_operands)
        return verb_misused(command, words[0], table->synopsis);
    *operands = words + 1;
    if (verb->check && !verb->check(*operands, &err))
        return told(command, &err, VERB_UNUSABLE);
    if (!verb->is_offline && !broker_access_check(access, &err))
        return told(command, &err, VERB_UNUSABLE);
    return run(verb, access, owner, &err) ? 0 : told(command, &err, VERB_FAILED);
}
