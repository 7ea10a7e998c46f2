#include "runtime/cli/verb.h"
#include "tests/harness/test.h"

#include <stdio.h>
#include <unistd.h>

#define SYNOPSIS "put URI FILE | get URI | list | verify [--head FILE] | prove NUMBER   [OPTION]..."

/* What `say` writes on standard error. */
static void heard(int (*say)(const char *command, const char *word, const char *wanted), const char *word, const char *wanted, char out[static 512])
{
    int     pipes[2], saved = dup(STDERR_FILENO);
    ssize_t n;

    assert_int_equal(pipe(pipes), 0);
    (void) fflush(stderr); /* nothing is in it */
    assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
    assert_int_equal(say("key", word, wanted), VERB_UNUSABLE);
    (void) fflush(stderr); /* fits into the pipe */
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void) close(saved);
    (void) close(pipes[1]);
    n = read(pipes[0], out, 511);
    assert_true(n > 0);
    out[n] = 0;
    (void) close(pipes[0]);
}

static void a_wrong_verb_is_told_with_the_one_that_was_meant(void **state)
{
    static const struct { const char *word, *wanted, *says; } ROWS[] = {
        { NULL, SYNOPSIS, "cloister: key: wanted is " SYNOPSIS "\n" },
        { "putt", SYNOPSIS, "cloister: key: there is no \"putt\": did you mean put? wanted is " SYNOPSIS "\n" },
        { "lsit", SYNOPSIS, "cloister: key: there is no \"lsit\": did you mean list? wanted is " SYNOPSIS "\n" },
        { "nonsense", SYNOPSIS, "cloister: key: there is no \"nonsense\"; wanted is " SYNOPSIS "\n" },
        { "x", SYNOPSIS, "cloister: key: there is no \"x\"; wanted is " SYNOPSIS "\n" },
        { "head", "snp, tdx or tpm; see head", "cloister: key: there is no \"head\"; wanted is snp, tdx or tpm; see head\n" },
        { "tdz", "snp, tdx or tpm; see head", "cloister: key: there is no \"tdz\": did you mean tdx? wanted is snp, tdx or tpm; see head\n" },
    };
    char out[512];

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        heard(verb_refuse, ROWS[i].word, ROWS[i].wanted, out);
        assert_string_equal(out, ROWS[i].says);
    }
}

static void a_right_verb_is_told_what_it_wants_behind_it(void **state)
{
    static const char *const ROWS[][2] = {
        { "put", "cloister: key put: wanted is URI FILE; see cloister key put --help\n" },
        { "get", "cloister: key get: wanted is URI; see cloister key get --help\n" },
        { "list", "cloister: key list: nothing but options is wanted behind it; see cloister key list --help\n" },
        { "verify", "cloister: key verify: nothing but options is wanted behind it; see cloister key verify --help\n" },
        { "prove", "cloister: key prove: wanted is NUMBER; see cloister key prove --help\n" },
    };
    char out[512];

    (void) state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        heard(verb_misused, ROWS[i][0], SYNOPSIS, out);
        assert_string_equal(out, ROWS[i][1]);
    }
}

static void only_a_near_word_is_meant(void **state)
{
    static const char *const WORDS[] = { "default/image-key/1", "attestation", "resource", "rm" };
    char                     wide[100] = { 0 };

    (void) state;
    memset(wide, 'a', sizeof wide - 1);
    assert_string_equal(word_meant("ressource", WORDS, 4), "resource");
    assert_string_equal(word_meant("attestaiton", WORDS, 4), "attestation");
    assert_string_equal(word_meant("mr", WORDS, 4), "rm");
    assert_null(word_meant("policy", WORDS, 4));
    assert_null(word_meant("", WORDS, 4));
    assert_null(word_meant(wide, WORDS, 4));
    assert_null(word_meant("x", WORDS, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_verb_is_told_with_the_one_that_was_meant),
        cmocka_unit_test(a_right_verb_is_told_what_it_wants_behind_it),
        cmocka_unit_test(only_a_near_word_is_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
