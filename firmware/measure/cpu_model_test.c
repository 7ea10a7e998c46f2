#include "firmware/measure/cpu_model.h"
#include "tests/harness/test.h"

static void signatures_are_those_of_the_models(void **state)
{
    static const struct { const char *name; uint32_t signature; } known[] = {
        { "EPYC", 0x800f12 },       { "EPYC-v4", 0x800f12 },       { "EPYC-IBPB", 0x800f12 },
        { "EPYC-Rome", 0x830f10 },  { "EPYC-Rome-v3", 0x830f10 },  { "EPYC-Milan", 0xa00f11 },
        { "EPYC-Milan-v2", 0xa00f11 }, { "EPYC-Genoa", 0xa10f10 }, { "EPYC-Genoa-v1", 0xa10f10 },
        { "EPYC-Turin", 0xb00f00 }, { "0x00A00F12", 0xa00f12 },
    };

    (void) state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t   signature = 0;
        struct err err;

        assert_true(cpu_model_signature(known[i].name, &signature, &err));
        assert_int_equal(signature, known[i].signature);
    }
}

static void unknown_names_are_refused(void **state)
{
    static const char *const bad[] = { "", "epyc", "EPYC-", "EPYC-v0", "EPYC-v9", "EPYC-v10", "EPYC-IBPB-v1",
                                       "EPYC-Naples", "host", "0x", "0x100000000", "0x80 ", "800f12", "0x-1" };

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t   signature = 7;
        struct err err;

        assert_false(cpu_model_signature(bad[i], &signature, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_int_equal(signature, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_models),
        cmocka_unit_test(unknown_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
