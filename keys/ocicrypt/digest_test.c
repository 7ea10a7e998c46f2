#include "tests/harness/test.h"
#include "keys/ocicrypt/digest.h"

#define ABC256 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* FIPS 180-4, "abc" */
#define ABC512                                                                                             \
    "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd" \
    "454d4423643ce80e2a9ac94fa54ca49f"

static void gives_the_published_digests_at_once_and_in_parts(void **state)
{
    static const char *const WANTED[] = { ABC256, ABC512 };

    (void) state;
    for (unsigned a = 0; a < 2; a++) {
        AUTO(digest_run) struct digest_run run = { 0 };
        struct digest                      whole, parts, read;
        struct err                         err;

        digest_of(bytes_of_text("abc"), (enum digest_algorithm) a, &whole);
        assert_string_equal(digest_text(&whole).at, WANTED[a]);
        digest_run_begin(&run, (enum digest_algorithm) a);
        digest_run_update(&run, bytes_of_text("a"));
        digest_run_update(&run, bytes_of_text("bc"));
        digest_run_end(&run, &parts);
        assert_true(digest_equal(&whole, &parts));
        assert_true(digest_read(bytes_of_text(WANTED[a]), &read, &err));
        assert_true(digest_equal(&whole, &read));
        read.value[31] ^= 1;
        assert_false(digest_equal(&whole, &read));
    }
}

static void refuses_every_other_text_by_its_defect(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } CASES[] = {
        { "", ERR_MALFORMED, "sha256:… or sha512:… wanted" },
        { "sha256", ERR_MALFORMED, "sha256:… or sha512:… wanted" },
        { "md5:00", ERR_UNSUPPORTED, "found \"md5:00\"" },
        { "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ERR_UNSUPPORTED, "SHA256" },
        { "sha256:", ERR_MALFORMED, "64 hex digits wanted" },
        { "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a", ERR_MALFORMED, "found 63" },
        { "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0", ERR_MALFORMED, "found 65" },
        { "sha256:Ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ERR_MALFORMED, "upper-case" },
        { "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ERR_MALFORMED, "not a hex digit" },
        { "sha256:../../../../../../../../../../../../../../../../../../../../../e", ERR_MALFORMED, "not a hex digit" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct digest d = { .value = { 0xaa } };
        struct err    err;

        assert_false(digest_read(bytes_of_text(CASES[i].text), &d, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("%s: %s", CASES[i].text, err.text);
        assert_int_equal(d.value[0], 0xaa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_digests_at_once_and_in_parts),
        cmocka_unit_test(refuses_every_other_text_by_its_defect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
