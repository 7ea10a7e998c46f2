#include "firmware/measure/vmsa.h"

#include "base/ossl.h"
#include "base/text.h"
#include "tests/harness/test.h"

/* SHA-384 of whole pages, from the same vectors as the launch digests. */
static const struct { struct vmsa_options options; const char *sha384; } known[] = {
    { { VMSA_QEMU, true, VMSA_RESET_EIP, 0x800f12, 1 },
      "77920c4c629ff47e90c0e174fc1ad0eb6fa664f88cd4739488058a8c6cb1a77b3856f55378e9518d0da99452d51c553a" },
    { { VMSA_QEMU, false, 0x80b004, 0x800f12, 1 },
      "8413b852790765a310d95867a8b00bfca3a802b5a80830044b45e253fe96222657e11e53fcf63eb0e0afd722385bf7b4" },
    { { VMSA_EC2, true, VMSA_RESET_EIP, 0x600, 1 },
      "d08442e8bcdb6a5dcd7f22e4f7fd6979beffb9f0bb54a9d1977407fe84f482abf23c1baae6ce95a6a9e7a94c3c51f412" },
    { { VMSA_EC2, false, 0x80b004, 0x600, 1 },
      "acff2d22db95b8eb82272d844aa2ad1f8f84218ccbab003697acade12228a6e901256e160d41713c22fed92e0a1ed0e1" },
    { { VMSA_GCE, true, VMSA_RESET_EIP, 0x600, 1 },
      "f9e03177dad7f4819ee193af7cfb70507d8a923ab513412e908bc73460a9dfdaa54215d58952816118ffb2ec281e7fd2" },
};

static void pages_equal_the_known_ones(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint8_t                    page[LAUNCH_PAGE_LEN], digest[SHA384_LEN];
        AUTO(buffer) struct buffer hex = { 0 };

        vmsa_write(&known[i].options, page);
        sha384_of(BYTES_OF(page), digest);
        hex_append(&hex, BYTES_OF(digest));
        assert_string_equal(buffer_text(&hex), known[i].sha384);
    }
}

static void unknown_hypervisors_are_refused(void **state)
{
    enum vmsa_machine machine;
    struct err        err;

    (void) state;
    assert_true(vmsa_machine_read("gce", &machine, &err));
    assert_int_equal(machine, VMSA_GCE);
    assert_false(vmsa_machine_read("xen", &machine, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "unknown hypervisor \"xen\": qemu, ec2 or gce");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_equal_the_known_ones),
        cmocka_unit_test(unknown_hypervisors_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
