#include "runtime/vmm/host.h"
#include "tests/harness/test.h"

static void kvm_needs_the_device_and_the_cpu_flag(void **state)
{
    static const struct { const char *asked, *flags; bool opens; enum accelerator wanted; const char *why; } cases[] = {
        { "auto", "flags : fpu svm", true, ACCEL_KVM, "/dev/kvm opens and the CPU offers hardware virtualisation" },
        { "auto", "flags : fpu vmx", true, ACCEL_KVM, "/dev/kvm opens and the CPU offers hardware virtualisation" },
        { "auto", "flags : fpu", true, ACCEL_TCG, "/dev/kvm opens, but the CPU offers neither svm nor vmx" },
        { "auto", "flags : fpu svm", false, ACCEL_TCG, "/dev/kvm does not open" },
        { "tcg", "flags : fpu svm", true, ACCEL_TCG, "asked for" },
        { "kvm", "flags : fpu", true, ACCEL_KVM, "asked for" },
    };
    enum accelerator found;
    const char      *why;
    struct err       err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(host_choose_accelerator(cases[i].asked, cases[i].flags, cases[i].opens, &found, &why, &err));
        assert_int_equal(found, cases[i].wanted);
        assert_string_equal(why, cases[i].why);
    }
    assert_false(host_choose_accelerator("kvm", "svm", false, &found, &why, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_false(host_choose_accelerator("xen", "svm", true, &found, &why, &err));
    assert_string_equal(err.text, "--accel xen: auto, kvm or tcg is wanted");
}

static void a_tee_is_chosen_before_the_simulation(void **state)
{
    enum tee    tee;
    const char *why;
    struct err  err;

    (void) state;
    assert_true(host_choose_tee("auto", true, true, &tee, &why, &err) && tee == TEE_SNP);
    assert_true(host_choose_tee("auto", false, true, &tee, &why, &err) && tee == TEE_TDX);
    assert_true(host_choose_tee("auto", false, false, &tee, &why, &err) && tee == TEE_SIM);
    assert_true(host_choose_tee("tpm", true, true, &tee, &why, &err) && tee == TEE_TPM);
    assert_false(host_choose_tee("sgx", true, true, &tee, &why, &err));
    assert_string_equal(err.text, "--tee sgx: auto, snp, tdx, tpm or sim is wanted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kvm_needs_the_device_and_the_cpu_flag),
        cmocka_unit_test(a_tee_is_chosen_before_the_simulation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
