/* What a microVM is made of, independent of the hypervisor that runs it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/process.h"

#define TEES(X)      \
    X(TEE_SNP, "snp") \
    X(TEE_TDX, "tdx") \
    X(TEE_TPM, "tpm") \
    X(TEE_SIM, "sim")

#define TEE_ENUM(name, text) name,
enum tee { TEES(TEE_ENUM) };
#undef TEE_ENUM

enum accelerator { ACCEL_KVM, ACCEL_TCG };

#define CHANNELS(X)           \
    X(CHANNEL_AUTO, "auto")     /* vsock where this host has vhost-vsock and may open it, else serial */ \
    X(CHANNEL_VSOCK, "vsock")   \
    X(CHANNEL_SERIAL, "serial") /* virtio-serial ports, which every host has */

#define CHANNEL_ENUM(name, text) name,
enum channel { CHANNELS(CHANNEL_ENUM) };
#undef CHANNEL_ENUM

const char *tee_name(enum tee tee);
const char *accelerator_name(enum accelerator accel);

/* What carries the agent's requests. Fails CONFIG for another word. */
FALLIBLE channel_read(const char *word, enum channel *out, struct err *err);

enum {
    VM_CPUS_MAX       = 64,
    VM_MEMORY_MIN_MIB = 64,
    VM_MEMORY_MAX_MIB = 1 << 20,
    VM_APPEND_MAX     = 2000, /* the kernel's own limit is 2048 with the closing zero */
    VM_PORTS_MAX      = 8,
    VM_NICS_MAX       = 8
};

/* One virtio-serial port; the guest finds it by name. */
struct vm_port {
    const char *name; /* letters, digits and dots */
    int         fd;   /* one end of a socket pair; borrowed */
};

/* One virtio-net device. */
struct vm_nic {
    int     tap_fd; /* borrowed; opened with IFF_VNET_HDR */
    uint8_t hardware[6];
};

/* Who gets kernel, initrd and command line, and so who must refuse those that were not measured. */
enum vm_loader {
    VM_LOADED_BY_QEMU,   /* -kernel: QEMU hands them to the firmware, after edits of its own to the setup header */
    VM_LOADED_BY_STAGE0  /* as fw_cfg files, unedited: stage0 asks for them and checks their hashes */
};

/* What an SEV-SNP or TDX launch binds besides memory. [QEMU docs/system/i386/amd-memory-encryption, tdx] */
struct vm_binding {
    uint8_t      initdata_digest[48]; /* HOST_DATA takes 32 bytes, MRCONFIGID 48 */
    uint64_t     snp_policy;          /* SNP guest policy; 0x30000: SMT allowed, no debugging, no migration */
    unsigned     c_bit, reduced_phys_bits; /* of this host: CPUID 0x8000001F EBX */
    const char  *cpu_model;           /* SNP: a fixed model, since the launch measures it: "EPYC-v4" */
    struct bytes id_block, id_auth;   /* SNP: 96 bytes and at most 4096; empty: none */
    bool         has_author_key;
    const char  *quote_socket;        /* TDX: path of the quote generation service's socket; NULL: vsock 2:4050 */
};

enum { VM_DISKS_MAX = 16, VM_SERIAL_MAX = 20 /* virtio-blk's */ };

/* A disk that the guest knows by its serial. */
struct vm_disk {
    int  fd; /* of a file or, then `is_block`, a device; borrowed */
    char serial[VM_SERIAL_MAX + 1]; /* letters, digits and - */
    bool is_read_only;
    bool is_block; /* of a block device */
};

/*
 * Everything that is handed to the hypervisor. Files arrive as open descriptors (borrowed), so that what was
 * measured is what runs, and the hypervisor needs no right to open any path of ours.
 */
struct vm_config {
    enum tee              tee;
    enum accelerator      accel;
    unsigned              cpus;
    unsigned              memory_mib;
    int                   firmware_fd; /* one flat image */
    int                   kernel_fd;
    int                   initrd_fd;
    const char           *append;      /* kernel command line */
    int                   cmdline_fd;  /* the same text in a file, or NO_FD; see `loader` */
    enum vm_loader        loader;
    int                   initdata_fd; /* raw image of the read-only initdata disk */
    int                   scratch_fd;  /* room for the guest to encrypt into, open for writing; NO_FD: none */
    const struct vm_disk *disks;
    size_t                n_disks;     /* at most VM_DISKS_MAX */
    int                   shelf_fd;    /* socket of a server of network block devices: the disk for later ones; NO_FD: none */
    int                   console_fd;  /* one end of a socket pair: the guest's serial console */
    const struct vm_port *ports;
    size_t                n_ports;
    const struct vm_nic  *nics;
    size_t                n_nics;
    struct vm_binding     binding;     /* for TEE_SNP and TEE_TDX */
    uint32_t              guest_cid;   /* vsock: the guest's context id, and no `ports`; 0: virtio-serial */
    int                   vsock_fd;    /* /dev/vhost-vsock that was given guest_cid */
    int                   tpm_fd;      /* for TEE_TPM: control channel of a swtpm */
};

/* Fails CONFIG, naming the field, when a hypervisor driver could not honour `config`. */
FALLIBLE vm_config_check(const struct vm_config *config, struct err *err);

/*
 * A hypervisor driver is one function of this type, in one file: it starts the hypervisor's process with `config`, or
 * fails and starts nothing. All talk with the guest goes through the descriptors in `config`, and the end of the VM is the
 * end of the process, so there is nothing else to implement. Our ends of the descriptors stay ours; the process ends with us.
 *
 *   words_fd   gets what the hypervisor says on standard output and error; borrowed
 *
 * Fails NOT_FOUND when the hypervisor is not installed (with the way out), CONFIG, UNSUPPORTED, OS.
 */
typedef bool vm_start_fn(const struct vm_config *config, int words_fd, struct process *out, struct err *err);
