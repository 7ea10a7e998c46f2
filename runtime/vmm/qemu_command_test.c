#include "runtime/vmm/qemu_command.h"
#include "tests/harness/test.h"

static const struct vm_port ports[] = { { "cloister.agent", 20 }, { "cloister.blobs", 21 } };

static struct vm_config config(void)
{
    return (struct vm_config){ .tee = TEE_SIM, .accel = ACCEL_TCG, .cpus = 2, .memory_mib = 256, .firmware_fd = 10,
                               .kernel_fd = 11, .initrd_fd = 12, .append = "console=ttyS0 quiet,x=y", .initdata_fd = 13,
                               .console_fd = 14, .ports = ports, .n_ports = 2 };
}

static const char golden[] =
    "qemu-system-x86_64 -nodefaults -no-user-config -no-reboot "
    "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny "
    "-machine q35,usb=off,smbus=off,hpet=off,vmport=off,graphics=off,i8042=off "
    "-accel tcg,thread=multi -cpu max -smp 2 -m 256 -display none -vga none -monitor none -parallel none "
    "-bios /proc/self/fd/3 -kernel /proc/self/fd/4 -initrd /proc/self/fd/5 -append console=ttyS0 quiet,x=y "
    "-add-fd fd=6,set=1 "
    "-blockdev driver=raw,node-name=initdata,read-only=on,file.driver=file,file.filename=/dev/fdset/1,file.locking=off "
    "-device virtio-blk-pci,drive=initdata,disable-legacy=on "
    "-chardev socket,id=console,fd=7 -serial chardev:console "
    "-device virtio-serial-pci,id=ports,max_ports=8,disable-legacy=on "
    "-chardev socket,id=port0,fd=8 -device virtserialport,bus=ports.0,chardev=port0,name=cloister.agent "
    "-chardev socket,id=port1,fd=9 -device virtserialport,bus=ports.0,chardev=port1,name=cloister.blobs";

static void gives_the_golden_command_line(void **state)
{
    AUTO(qemu_command) struct qemu_command command = { 0 };
    AUTO(buffer) struct buffer             text    = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    assert_true(qemu_command_build(&c, &command, &err));
    for (size_t i = 0; i < command.n_args; i++)
        buffer_printf(&text, "%s%s", i > 0 ? " " : "", command.argv[i]);
    assert_string_equal(buffer_text(&text), golden);
    assert_null(command.argv[command.n_args]);
    assert_int_equal(command.n_fds, 7);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(command.fds[i].ours, 10 + i);
        assert_int_equal(command.fds[i].theirs, 3 + i);
    }
}

static void stage0_gets_the_blobs_unedited(void **state)
{
    static const char *const wanted[] = { "name=opt/org.cloister/kernel,file=/proc/self/fd/4",
        "name=opt/org.cloister/initrd,file=/proc/self/fd/5", "name=opt/org.cloister/cmdline,file=/proc/self/fd/6" };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;
    size_t                                 n_found = 0;

    (void) state;
    c.loader     = VM_LOADED_BY_STAGE0;
    c.cmdline_fd = 19;
    assert_true(qemu_command_build(&c, &command, &err));
    for (size_t i = 0; i < command.n_args; i++) {
        assert_string_not_equal(command.argv[i], "-kernel");
        assert_string_not_equal(command.argv[i], "-append");
        if (strcmp(command.argv[i], "-fw_cfg") == 0)
            assert_string_equal(command.argv[i + 1], wanted[n_found++]);
    }
    assert_int_equal(n_found, 3);
    assert_int_equal(command.fds[3].ours, 19);
}

static void a_nic_is_a_descriptor_and_a_hardware_address(void **state)
{
    static const struct vm_nic             nics[2] = { { 30, { 2, 0, 0, 0, 0, 1 } }, { 31, { 2, 0xab, 0, 0, 0, 2 } } };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    c.nics   = nics;
    c.n_nics = 2;
    assert_true(qemu_command_build(&c, &command, &err));
    assert_string_equal(command.argv[command.n_args - 3], "tap,id=net1,fd=11");
    assert_string_equal(command.argv[command.n_args - 1],
                        "virtio-net-pci,netdev=net1,mac=02:ab:00:00:00:02,romfile=,disable-legacy=on");
    assert_int_equal(command.fds[command.n_fds - 1].ours, 31);
    assert_int_equal(command.fds[command.n_fds - 1].theirs, 11);
    c.n_nics = VM_NICS_MAX + 1;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "9 network interfaces; at most 8 fit");
}

static void kvm_changes_accelerator_and_cpu_only(void **state)
{
    AUTO(qemu_command) struct qemu_command tcg = { 0 }, kvm = { 0 };
    struct vm_config                       c   = config();
    struct err                             err;
    size_t                                 n_different = 0;

    (void) state;
    assert_true(qemu_command_build(&c, &tcg, &err));
    c.accel = ACCEL_KVM;
    assert_true(qemu_command_build(&c, &kvm, &err));
    assert_int_equal(tcg.n_args, kvm.n_args);
    for (size_t i = 0; i < tcg.n_args; i++)
        n_different += strcmp(tcg.argv[i], kvm.argv[i]) != 0;
    assert_int_equal(n_different, 2);
}

static void join(const struct qemu_command *command, struct buffer *text)
{
    for (size_t i = 0; i < command->n_args; i++)
        buffer_printf(text, "%s%s", i > 0 ? " " : "", command->argv[i]);
}

static void has(const struct buffer *text, const char *part)
{
    if (!strstr((const char *) text->at, part))
        fail_msg("wanted %s in %s", part, (const char *) text->at);
}

static void an_snp_launch_binds_initdata_policy_and_id_block(void **state)
{
    static const uint8_t                   id_block[96] = { 1 }, id_auth[4] = { 2 };
    AUTO(qemu_command) struct qemu_command command = { 0 };
    AUTO(buffer) struct buffer             text    = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    c.tee     = TEE_SNP;
    c.accel   = ACCEL_KVM;
    c.binding = (struct vm_binding){ .initdata_digest = { 0xff }, .snp_policy = 0x30000, .c_bit = 51, .reduced_phys_bits = 1,
                                     .cpu_model = "EPYC-v4", .id_block = BYTES_OF(id_block), .id_auth = BYTES_OF(id_auth) };
    assert_true(qemu_command_build(&c, &command, &err));
    join(&command, &text);
    has(&text, "smm=off,kernel-irqchip=split,confidential-guest-support=tee,memory-backend=ram -accel kvm -cpu EPYC-v4 -smp 2");
    has(&text, "-object memory-backend-memfd,id=ram,size=256M,share=on,prealloc=off,reserve=off");
    has(&text, "-object sev-snp-guest,id=tee,cbitpos=51,reduced-phys-bits=1,policy=0x30000,kernel-hashes=on,"
               "host-data=/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,id-block=AQAA");
    has(&text, ",id-auth=AgAAAA==,author-key-enabled=off");
    has(&text, "virtio-blk-pci,drive=initdata,disable-legacy=on,iommu_platform=on");
    has(&text, "virtio-serial-pci,id=ports,max_ports=8,disable-legacy=on,iommu_platform=on");
}

static void a_tdx_launch_binds_initdata_and_finds_the_quoting_service(void **state)
{
    AUTO(qemu_command) struct qemu_command command = { 0 };
    AUTO(buffer) struct buffer             text    = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    c.tee     = TEE_TDX;
    c.accel   = ACCEL_KVM;
    c.binding = (struct vm_binding){ .initdata_digest = { 0xff } };
    assert_true(qemu_command_build(&c, &command, &err));
    join(&command, &text);
    has(&text, "-object {\"qom-type\":\"tdx-guest\",\"id\":\"tee\",\"sept-ve-disable\":true,\"mrconfigid\":"
               "\"/wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"quote-generation-socket\":"
               "{\"type\":\"vsock\",\"cid\":\"2\",\"port\":\"4050\"}}");
    has(&text, "-cpu host -smp 2");
    c.binding.quote_socket = "/run/x,y";
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

static void a_tpm_is_one_more_device(void **state)
{
    AUTO(qemu_command) struct qemu_command command = { 0 };
    AUTO(buffer) struct buffer             text    = { 0 };
    struct vm_config                       c       = config();
    struct err                             err;

    (void) state;
    c.tee    = TEE_TPM;
    c.tpm_fd = 21;
    assert_true(qemu_command_build(&c, &command, &err));
    join(&command, &text);
    has(&text, "-chardev socket,id=tpm,fd=3 -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-crb,tpmdev=tpm0");
    assert_int_equal(command.fds[0].ours, 21);
}

static void a_confidential_launch_without_kvm_is_refused(void **state)
{
    struct qemu_command command;
    struct vm_config    c = config();
    struct err          err;

    (void) state;
    c.tee               = TEE_SNP;
    c.binding.cpu_model = "EPYC-v4";
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "--tee snp needs KVM");
    c.accel             = ACCEL_KVM;
    c.binding.cpu_model = "EPYC-v4,x=y";
    assert_false(qemu_command_build(&c, &command, &err));
    c.binding.cpu_model    = "EPYC-v4";
    c.binding.id_block.len = 95;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

static void refuses_what_it_could_not_honour(void **state)
{
    static const struct vm_port    forged[] = { { "a,path=/etc/passwd", 20 } };
    struct qemu_command            command;
    struct vm_config               c;
    struct err                     err;
    char                           long_append[VM_APPEND_MAX + 2] = { 0 };

    (void) state;
    c = config();
    c.cpus = 0;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "0 CPUs; 1 to 64 are possible");
    c = config();
    c.memory_mib = 63;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_string_equal(err.text, "63 MiB of memory; 64 to 1048576 are possible");
    c = config();
    memset(long_append, 'x', VM_APPEND_MAX + 1);
    c.append = long_append;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    c = config();
    c.ports = forged;
    c.n_ports = 1;
    assert_false(qemu_command_build(&c, &command, &err));
    assert_int_equal(err.kind, ERR_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_golden_command_line),
        cmocka_unit_test(stage0_gets_the_blobs_unedited),
        cmocka_unit_test(a_nic_is_a_descriptor_and_a_hardware_address),
        cmocka_unit_test(kvm_changes_accelerator_and_cpu_only),
        cmocka_unit_test(an_snp_launch_binds_initdata_policy_and_id_block),
        cmocka_unit_test(a_tdx_launch_binds_initdata_and_finds_the_quoting_service),
        cmocka_unit_test(a_tpm_is_one_more_device),
        cmocka_unit_test(a_confidential_launch_without_kvm_is_refused),
        cmocka_unit_test(refuses_what_it_could_not_honour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
