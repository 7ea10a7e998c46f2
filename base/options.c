#include "base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row *find_row(const struct option_table *table, const char *name, size_t len)
{
    for (size_t i = 0; i < table->n_rows; i++)
        if (strlen(table->rows[i].name) == len && strncmp(table->rows[i].name, name, len) == 0)
            return &table->rows[i];
    return NULL;
}

static FALLIBLE read_number(const struct option_row *row, const char *text, struct err *err)
{
    bool               is_hex = strncmp(text, "0x", 2) == 0;
    char              *end    = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, is_hex ? 16 : 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0)
        return fail_with(err, ERR_CONFIG, "--%s: \"%s\" is not a number", row->name, text);
    if (value < row->least || (row->most != 0 && value > row->most))
        return fail_with(err, ERR_CONFIG, "--%s: %s is not between %llu and %llu", row->name, text,
                         (unsigned long long) row->least, (unsigned long long) row->most);
    *(uint64_t *) row->into = value;
    return true;
}

static FALLIBLE store(const struct option_row *row, const char *text, struct err *err)
{
    struct option_list *list;

    switch (row->kind) {
    case OPTION_TEXT:
        *(const char **) row->into = text;
        return true;
    case OPTION_NUMBER:
        return read_number(row, text, err);
    case OPTION_FLAG:
        *(bool *) row->into = true;
        return true;
    case OPTION_LIST:
        list = row->into;
        if (list->n == OPTION_LIST_MAX)
            return fail_with(err, ERR_CONFIG, "--%s: given more than %d times", row->name, OPTION_LIST_MAX);
        list->at[list->n++] = text;
        return true;
    }
    return fail_with(err, ERR_BUG, "--%s: no such kind of option", row->name);
}

/* Reads the option at argv[*at], and its value there or in the next argument. */
static FALLIBLE read_option(const struct option_table *table, int argc, char **argv, int *at, struct err *err)
{
    const char              *name   = argv[*at] + 2;
    const char              *equals = strchr(name, '=');
    size_t                   len    = equals ? (size_t) (equals - name) : strlen(name);
    const struct option_row *row    = find_row(table, name, len);

    if (!row)
        return fail_with(err, ERR_CONFIG, "no option --%.*s; see %s --help", (int) len, name, table->command);
    if (row->kind == OPTION_FLAG) {
        if (equals)
            return fail_with(err, ERR_CONFIG, "--%s takes no value", row->name);
        return store(row, NULL, err);
    }
    if (equals)
        return store(row, equals + 1, err);
    if (*at + 1 >= argc)
        return fail_with(err, ERR_CONFIG, "--%s wants %s; see %s --help", row->name, row->value, table->command);
    *at += 1;
    return store(row, argv[*at], err);
}

FALLIBLE options_parse(const struct option_table *table, int argc, char **argv, enum options_outcome *outcome,
                       char ***operands, size_t *n_operands, struct err *err)
{
    int  n_kept   = 0; /* operands are moved to the front of argv, behind argv[0] */
    bool no_more  = false;

    for (int i = 1; i < argc; i++) {
        if (!no_more && strcmp(argv[i], "--") == 0) {
            no_more = true;
        } else if (!no_more && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            options_help(table, stdout);
            *outcome = OPTIONS_HELP_WAS_PRINTED;
            return true;
        } else if (!no_more && strcmp(argv[i], "--version") == 0) {
            printf("%.*s " CLOISTER_VERSION "\n", (int) strcspn(table->command, " "), table->command);
            *outcome = OPTIONS_HELP_WAS_PRINTED;
            return true;
        } else if (!no_more && strncmp(argv[i], "--", 2) == 0) {
            if (!read_option(table, argc, argv, &i, err))
                return false;
        } else if (!no_more && argv[i][0] == '-' && argv[i][1] != 0) {
            return fail_with(err, ERR_CONFIG, "no option %s; see %s --help", argv[i], table->command);
        } else {
            argv[1 + n_kept++] = argv[i];
            no_more = no_more || table->stop_at_operand;
        }
    }
    *outcome    = OPTIONS_RUN;
    *operands   = argv + 1;
    *n_operands = (size_t) n_kept;
    return true;
}

void options_help(const struct option_table *table, FILE *to)
{
    fprintf(to, "Usage: %s %s\n%s\n", table->command, table->synopsis, table->about);
    if (table->n_rows > 0)
        fprintf(to, "\nOptions:\n");
    for (size_t i = 0; i < table->n_rows; i++) {
        const struct option_row *row = &table->rows[i];
        char                     left[64];

        (void) snprintf(left, sizeof left, "--%s%s%s", row->name, row->value ? " " : "",
                        row->value ? row->value : ""); /* a cut column is only ugly */
        fprintf(to, "  %-28s %s%s\n", left, row->help, row->kind == OPTION_LIST ? " (may be given again)" : "");
    }
    fprintf(to, "  %-28s %s\n", "--help", "print this text");
    if (table->notes)
        fprintf(to, "\n%s\n", table->notes);
}
