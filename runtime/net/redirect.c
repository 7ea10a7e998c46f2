#include "runtime/net/redirect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#include "base/netlink.h"

enum { OUR_PRIORITY = 0xc105 }; /* by which our filter is known again */

#define FIXED(structure) ((struct bytes){ (const uint8_t *) &(structure), sizeof(structure) })

static struct tcmsg filter_of(uint32_t device)
{
    return (struct tcmsg){ .tcm_family = AF_UNSPEC, .tcm_ifindex = (int) device,
                           .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                           .tcm_info   = TC_H_MAKE((uint32_t) OUR_PRIORITY << 16, htons(ETH_P_ALL)) };
}

static struct tcmsg discipline_of(uint32_t device)
{
    return (struct tcmsg){ .tcm_family = AF_UNSPEC, .tcm_ifindex = (int) device, .tcm_parent = TC_H_INGRESS,
                           .tcm_handle = TC_H_MAKE(TC_H_INGRESS, 0) };
}

static FALLIBLE add_discipline(int fd, uint32_t device, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };
    struct tcmsg               fixed   = discipline_of(device);

    netlink_begin(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, FIXED(fixed));
    netlink_put_text(&request, TCA_KIND, "ingress");
    return netlink_change(fd, &request, err) || (err->kind == ERR_OS && err->os_errno == EEXIST);
}

/* One key that compares no bit: it matches every packet. */
static void put_match_all(struct buffer *request)
{
    struct tc_u32_sel head                                       = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
    uint8_t           selector[sizeof head + sizeof(struct tc_u32_key)] = { 0 };

    memcpy(selector, &head, sizeof head);
    netlink_put(request, TCA_U32_SEL, BYTES_OF(selector));
}

static void put_redirection(struct buffer *request, uint32_t to)
{
    struct tc_mirred how     = { .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = to };
    size_t           actions = netlink_nest(request, TCA_U32_ACT);
    size_t           first   = netlink_nest(request, 1); /* their order is their type */

    netlink_put_text(request, TCA_ACT_KIND, "mirred");
    size_t options = netlink_nest(request, TCA_ACT_OPTIONS);
    netlink_put(request, TCA_MIRRED_PARMS, FIXED(how));
    netlink_end_nest(request, options);
    netlink_end_nest(request, first);
    netlink_end_nest(request, actions);
}

static bool remove_filter(int netlink_fd, uint32_t from)
{
    AUTO(buffer) struct buffer request = { 0 };
    struct tcmsg               fixed   = filter_of(from);
    struct err                 err;

    netlink_begin(&request, RTM_DELTFILTER, 0, FIXED(fixed));
    return netlink_change(netlink_fd, &request, &err);
}

FALLIBLE redirect_add(int netlink_fd, uint32_t from, uint32_t to, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };
    struct tcmsg               fixed   = filter_of(from);

    (void) remove_filter(netlink_fd, from); /* mostly there is none */
    if (!add_discipline(netlink_fd, from, err))
        return context(err, "ingress discipline");
    netlink_begin(&request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, FIXED(fixed));
    netlink_put_text(&request, TCA_KIND, "u32");
    size_t options = netlink_nest(&request, TCA_OPTIONS);
    put_match_all(&request);
    put_redirection(&request, to);
    netlink_end_nest(&request, options);
    return netlink_change(netlink_fd, &request, err) ||
           context(err, "redirection (are the kernel modules cls_u32 and act_mirred there?)");
}

void redirect_remove(int netlink_fd, uint32_t from)
{
    AUTO(buffer) struct buffer asked = { 0 }, others = { 0 }, request = { 0 };
    struct tcmsg               all = filter_of(from), fixed = discipline_of(from);
    struct err                 ignored;

    if (!remove_filter(netlink_fd, from))
        return; /* none of ours; or its namespace has gone, and the filter with it */
    all.tcm_info = 0;
    netlink_begin(&asked, RTM_GETTFILTER, 0, FIXED(all));
    if (!netlink_dump(netlink_fd, &asked, &others, &ignored) || others.len > 0)
        return;
    netlink_begin(&request, RTM_DELQDISC, 0, FIXED(fixed));
    (void) !netlink_change(netlink_fd, &request, &ignored); /* as above */
}
