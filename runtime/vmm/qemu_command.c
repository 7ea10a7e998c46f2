#include "runtime/vmm/qemu_command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "guest/api/shelf.h"

enum { FIRST_FD = 3 };

static void add(struct qemu_command *c, const char *fmt, ...) PRINTF_LIKE(2);
static void add(struct qemu_command *c, const char *fmt, ...)
{
    va_list args;

    if (c->n_args == QEMU_ARGS_MAX)
        abort(); /* the number of arguments does not depend on anything foreign */
    va_start(args, fmt);
    if (vasprintf(&c->argv[c->n_args], fmt, args) < 0)
        abort();
    va_end(args);
    c->n_args++;
}

/* Hands `fd` to QEMU; yields its number there. */
static int pass(struct qemu_command *c, int fd)
{
    int theirs = FIRST_FD + (int) c->n_fds;

    if (c->n_fds + 2 >= QEMU_FDS_MAX) /* its standard output and error come to these */
        abort(); /* as in add */
    c->fds[c->n_fds++] = (struct process_fd){ fd, theirs };
    return theirs;
}

static const char *base64_of(struct bytes b, struct buffer *text)
{
    text->len = 0;
    base64_append(text, b, BASE64_STANDARD);
    return buffer_text(text);
}

/*
 * Private memory of a confidential guest is a guest_memfd, which QEMU makes by itself for such a machine; what the guest
 * shares lies in this memfd. [QEMU 9.1]
 */
static void add_shared_memory(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-object");
    add(c, "memory-backend-memfd,id=ram,size=%uM,share=on,prealloc=off,reserve=off", config->memory_mib);
}

static void add_snp(struct qemu_command *c, const struct vm_config *config)
{
    const struct vm_binding   *b    = &config->binding;
    AUTO(buffer) struct buffer text = { 0 }, option = { 0 };

    add_shared_memory(c, config);
    buffer_printf(&option, "sev-snp-guest,id=tee,cbitpos=%u,reduced-phys-bits=%u,policy=0x%llx,kernel-hashes=on,host-data=%s",
                  b->c_bit, b->reduced_phys_bits, (unsigned long long) b->snp_policy,
                  base64_of((struct bytes){ b->initdata_digest, 32 }, &text));
    if (b->id_block.len > 0) {
        buffer_printf(&option, ",id-block=%s", base64_of(b->id_block, &text));
        buffer_printf(&option, ",id-auth=%s,author-key-enabled=%s", base64_of(b->id_auth, &text), b->has_author_key ? "on" : "off");
    }
    add(c, "-object");
    add(c, "%s", buffer_text(&option));
}

static void add_tdx(struct qemu_command *c, const struct vm_config *config)
{
    const struct vm_binding   *b    = &config->binding;
    AUTO(buffer) struct buffer text = { 0 }, option = { 0 };

    add_shared_memory(c, config);
    buffer_printf(&option, "{\"qom-type\":\"tdx-guest\",\"id\":\"tee\",\"sept-ve-disable\":true,\"mrconfigid\":\"%s\",\"quote-generation-socket\":",
                  base64_of((struct bytes){ b->initdata_digest, 48 }, &text));
    if (b->quote_socket)
        buffer_printf(&option, "{\"type\":\"unix\",\"path\":\"%s\"}}", b->quote_socket);
    else
        buffer_append_text(&option, "{\"type\":\"vsock\",\"cid\":\"2\",\"port\":\"4050\"}}");
    add(c, "-object");
    add(c, "%s", buffer_text(&option));
}

static bool is_confidential(const struct vm_config *config)
{
    return config->tee == TEE_SNP || config->tee == TEE_TDX;
}

static const char *cpu_of(const struct vm_config *config)
{
    if (config->tee == TEE_SNP)
        return config->binding.cpu_model;
    return config->tee == TEE_TDX ? "host" : config->accel == ACCEL_KVM ? "host,pmu=off" : "max";
}

static void add_tpm(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-chardev");
    add(c, "socket,id=tpm,fd=%d", pass(c, config->tpm_fd));
    add(c, "-tpmdev");
    add(c, "emulator,id=tpm0,chardev=tpm");
    add(c, "-device");
    add(c, "tpm-crb,tpmdev=tpm0");
}

static void add_tee(struct qemu_command *c, const struct vm_config *config)
{
    switch (config->tee) {
    case TEE_SNP:
        add_snp(c, config);
        break;
    case TEE_TDX:
        add_tdx(c, config);
        break;
    case TEE_TPM:
        add_tpm(c, config);
        break;
    case TEE_SIM:
        break;
    }
}

/* Nothing that QEMU would add by itself, no way to start programs or gain rights, no reset: a reset VM cannot be measured again. */
static void add_machine(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "qemu-system-x86_64");
    add(c, "-nodefaults");
    add(c, "-no-user-config");
    add(c, "-no-reboot");
    add(c, "-sandbox");
    add(c, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    add(c, "-machine");
    add(c, "q35,usb=off,smbus=off,hpet=off,vmport=off,graphics=off,i8042=off%s",
        is_confidential(config) ? ",smm=off,confidential-guest-support=tee,memory-backend=ram" : "");
    add(c, "-accel");
    add(c, "%s", is_confidential(config) ? "kvm,kernel-irqchip=split" : config->accel == ACCEL_KVM ? "kvm" : "tcg,thread=multi");
    add(c, "-cpu");
    add(c, "%s", cpu_of(config));
    add(c, "-smp");
    add(c, "%u", config->cpus);
    add(c, "-m");
    add(c, "%u", config->memory_mib);
    add(c, "-display");
    add(c, "none");
    add(c, "-vga");
    add(c, "none");
    add(c, "-monitor");
    add(c, "none");
    add(c, "-parallel");
    add(c, "none");
    add_tee(c, config);
}

static void add_boot_by_stage0(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-fw_cfg");
    add(c, "name=opt/org.cloister/kernel,file=/proc/self/fd/%d", pass(c, config->kernel_fd));
    add(c, "-fw_cfg");
    add(c, "name=opt/org.cloister/initrd,file=/proc/self/fd/%d", pass(c, config->initrd_fd));
    add(c, "-fw_cfg");
    add(c, "name=opt/org.cloister/cmdline,file=/proc/self/fd/%d", pass(c, config->cmdline_fd));
}

static void add_boot_by_qemu(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-kernel");
    add(c, "/proc/self/fd/%d", pass(c, config->kernel_fd));
    add(c, "-initrd");
    add(c, "/proc/self/fd/%d", pass(c, config->initrd_fd));
    add(c, "-append");
    add(c, "%s", config->append);
}

static void add_boot(struct qemu_command *c, const struct vm_config *config)
{
    add(c, "-bios");
    add(c, "/proc/self/fd/%d", pass(c, config->firmware_fd));
    switch (config->loader) {
    case VM_LOADED_BY_QEMU:
        add_boot_by_qemu(c, config);
        break;
    case VM_LOADED_BY_STAGE0:
        add_boot_by_stage0(c, config);
        break;
    }
}

/* The guest's channels: by vsock, whose descriptor has its context id already, or one virtio-serial port each. */
static void add_ports(struct qemu_command *c, const struct vm_config *config)
{
    const char *bounce = is_confidential(config) ? ",iommu_platform=on" : "";

    if (config->guest_cid != 0) {
        add(c, "-device");
        add(c, "vhost-vsock-pci,guest-cid=%u,vhostfd=%d,disable-legacy=on%s", config->guest_cid, pass(c, config->vsock_fd), bounce);
        return;
    }
    add(c, "-device");
    add(c, "virtio-serial-pci,id=ports,max_ports=%d,disable-legacy=on%s", VM_PORTS_MAX, bounce);
    for (size_t i = 0; i < config->n_ports; i++) {
        add(c, "-chardev");
        add(c, "socket,id=port%zu,fd=%d", i, pass(c, config->ports[i].fd));
        add(c, "-device");
        add(c, "virtserialport,bus=ports.0,chardev=port%zu,name=%s", i, config->ports[i].name);
    }
}

static void add_devices(struct qemu_command *c, const struct vm_config *config)
{
    int         fd     = pass(c, config->initdata_fd);
    const char *bounce = is_confidential(config) ? ",iommu_platform=on" : ""; /* DMA only to memory that the guest shares */

    add(c, "-add-fd");
    add(c, "fd=%d,set=1", fd);
    add(c, "-blockdev");
    add(c, "driver=raw,node-name=initdata,read-only=on,file.driver=file,file.filename=/dev/fdset/1,file.locking=off");
    add(c, "-device");
    add(c, "virtio-blk-pci,drive=initdata,disable-legacy=on%s", bounce);
    add(c, "-chardev");
    add(c, "socket,id=console,fd=%d", pass(c, config->console_fd));
    add(c, "-serial");
    add(c, "chardev:console");
    add_ports(c, config);
}

/* The guest knows it by its serial, encrypts it under a key of its own, and gives back what it frees. */
static void add_scratch(struct qemu_command *c, const struct vm_config *config)
{
    if (config->scratch_fd == NO_FD)
        return;
    add(c, "-add-fd");
    add(c, "fd=%d,set=2", pass(c, config->scratch_fd));
    add(c, "-blockdev");
    add(c, "driver=raw,node-name=scratch,discard=unmap,file.driver=file,file.filename=/dev/fdset/2,file.locking=off");
    add(c, "-device");
    add(c, "virtio-blk-pci,drive=scratch,serial=cloister-scratch,disable-legacy=on%s",
        is_confidential(config) ? ",iommu_platform=on" : "");
}

/* What the host lends besides: descriptor sets from 3 on. */
static void add_disks(struct qemu_command *c, const struct vm_config *config)
{
    for (size_t i = 0; i < config->n_disks; i++) {
        const struct vm_disk *disk = &config->disks[i];

        add(c, "-add-fd");
        add(c, "fd=%d,set=%zu", pass(c, disk->fd), i + 3);
        add(c, "-blockdev");
        add(c, "driver=raw,node-name=disk%zu,read-only=%s,file.driver=%s,file.filename=/dev/fdset/%zu,file.locking=off", i,
            disk->is_read_only ? "on" : "off", disk->is_block ? "host_device" : "file", i + 3);
        add(c, "-device");
        add(c, "virtio-blk-pci,drive=disk%zu,serial=%s,disable-legacy=on%s", i, disk->serial,
            is_confidential(config) ? ",iommu_platform=on" : "");
    }
}

/* Served by another process over a socket: what lies on it comes later. */
static void add_shelf(struct qemu_command *c, const struct vm_config *config)
{
    if (config->shelf_fd == NO_FD)
        return;
    add(c, "-blockdev");
    add(c, "driver=nbd,node-name=shelf,server.type=fd,server.str=%d", pass(c, config->shelf_fd));
    add(c, "-device");
    add(c, "virtio-blk-pci,drive=shelf,serial=%s,disable-legacy=on%s", SHELF_SERIAL,
        is_confidential(config) ? ",iommu_platform=on" : "");
}

/* Without an option ROM: nothing boots from the network. */
static void add_nics(struct qemu_command *c, const struct vm_config *config)
{
    const char *bounce = is_confidential(config) ? ",iommu_platform=on" : "";

    for (size_t i = 0; i < config->n_nics; i++) {
        const uint8_t *hw = config->nics[i].hardware;

        add(c, "-netdev");
        add(c, "tap,id=net%zu,fd=%d", i, pass(c, config->nics[i].tap_fd));
        add(c, "-device");
        add(c, "virtio-net-pci,netdev=net%zu,mac=%02x:%02x:%02x:%02x:%02x:%02x,romfile=,disable-legacy=on%s", i, hw[0],
            hw[1], hw[2], hw[3], hw[4], hw[5], bounce);
    }
}

FALLIBLE qemu_command_build(const struct vm_config *config, struct qemu_command *out, struct err *err)
{
    struct qemu_command c = { 0 };

    if (!vm_config_check(config, err))
        return false;
    if (config->tee == TEE_SNP && config->loader != VM_LOADED_BY_QEMU)
        return fail_with(err, ERR_BUG, "on snp QEMU measures the hashes of what -kernel names");
    add_machine(&c, config);
    add_boot(&c, config);
    add_devices(&c, config);
    add_scratch(&c, config);
    add_disks(&c, config);
    add_shelf(&c, config);
    add_nics(&c, config);
    *out = c;
    return true;
}

void qemu_command_free(struct qemu_command *command)
{
    for (size_t i = 0; i < command->n_args; i++)
        free(command->argv[i]);
    *command = (struct qemu_command){ 0 };
}
