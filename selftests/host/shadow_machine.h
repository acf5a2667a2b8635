/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small machine for shadow paging: guest memory, the host behind it, CPUs whose TLBs never evict
 * anything by themselves, and a naive model of what the guest's own tables say. Included once, by
 * shadow_test.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/vmstat.h>

#include "mmu/needs.h"
#include "mmu/shadow.h"
#include "test.h"

#define FRAMES		2048u	/* four blocks, each a slot */
#define SLOTS		4
#define TABLES		24u	/* frames that the guest likes to use as tables: the first */
#define CPUS		2
#define HOLE		(FRAMES + 1)	/* the frame of the module's own page, in no slot */
#define HOLE_PFN	0x7fffffull
#define GVAS		32
#define SEEN		16
#define TLB		8

/* ---- memory and its host ---- */

static u64 mem[FRAMES][512];
static struct okvm_memslot slots[SLOTS];
static bool slot_there[SLOTS];
static u64 slots_gen = 4;

static struct {
	u32 version[FRAMES];
	bool writable[FRAMES], dirty[FRAMES];
	u32 block_version[SLOTS];
	bool huge[SLOTS];
	u32 next;
} host;

static int pages_allocated, tables_accounted;

static struct okvm_mmu_ops ops;
static const struct okvm_backend backend = { .mmu = &ops };
static struct okvm_vm vm = { .backend = &backend };
static struct okvm_mmu_vm mmu = { .vm = &vm };

/** kinds of access: bits of a mask of what is allowed */
enum kind {
	USER_READ, USER_WRITE, USER_FETCH,
	KERNEL_READ, KERNEL_WRITE, KERNEL_FETCH,
	AC_READ, AC_WRITE,	/* the kernel's, with EFLAGS.AC */
	KINDS,
};

/* What a TLB holds, or what the guest's tables have said: @mask of enum kind. */
struct translation {
	u64 gfn, pfn;
	u8 mask, level;
};

static struct cpu {
	struct okvm_vcpu vcpu;
	struct okvm_mmu_vcpu mmu;
	struct okvm_root root;
	u64 cr3, pdptrs[4];
	bool ac, reload;
	bool outside;	/* it has no root, and does not run the guest before its TLB is flushed */
	int kind;		/* of the access at hand */
	struct translation tlb[GVAS][TLB];
	unsigned int nr_tlb[GVAS];
	unsigned long flushes;
	struct translation seen[GVAS][SEEN];
	unsigned int nr_seen[GVAS];
} cpus[CPUS];

static unsigned int violations;
static unsigned long step;

#define VIOLATION(...)								\
	do {									\
		if (!violations++)						\
			HOST_FAIL(__VA_ARGS__);					\
	} while (0)

/* The table that @entry, a table entry, points to: okvm itself looks it up by its number. */
static struct shadow_table *table_below(u64 entry)
{
	return (struct shadow_table *)page_private(virt_to_page(__va(entry & SPTE_ADDR)));
}

static u64 rng_state;

static u32 rnd(u32 n)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (rng_state >> 11) % n;
}

static bool chance(u32 percent)
{
	return rnd(100) < percent;
}

static struct okvm_memslot *slot_of(u64 gfn)
{
	return gfn < FRAMES && slot_there[gfn / 512] ? &slots[gfn / 512] : NULL;
}

/* The number of the VMM's page behind @gfn: @gfn itself, unless a test has moved its slot. */
static u64 page_of(u64 gfn)
{
	const struct okvm_memslot *slot = slot_of(gfn);

	return slot ? (okvm_slot_hva(slot, gfn) - slots[0].hva) >> 12 : gfn;
}

static u64 pfn_of(u64 gfn)
{
	const u64 page = page_of(gfn);

	if (host.huge[page / 512])
		return (u64)host.block_version[page / 512] << 20 | page;
	return (u64)host.version[page] << 20 | page;
}

static bool host_writable(u64 gfn)
{
	struct okvm_memslot *slot = slot_of(gfn);

	return slot && !(slot->flags & KVM_MEM_READONLY) && host.writable[gfn];
}

/* ---- what the code under test calls ---- */

u8 shim_zero_page[PAGE_SIZE] __aligned(PAGE_SIZE);
bool shim_nowait_fails;

unsigned long get_zeroed_page(gfp_t gfp)
{
	void *page = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);

	memset(page, 0, 2 * PAGE_SIZE);
	pages_allocated++;
	return (unsigned long)page;
}

/*
 * Paging-structure caches: for each CPU, 1 + the count of its flushes when it last went through the
 * table at @addr. Until the next flush the CPU may walk that table, whatever entries say by then.
 */
static unsigned long *walked_by(const void *addr)
{
	return (unsigned long *)((u8 *)addr + 2 * PAGE_SIZE) - CPUS;
}

static void check_unwalked(const void *addr)
{
	for (int c = 0; c < CPUS; c++) {
		if (!cpus[c].outside && walked_by(addr)[c] == cpus[c].flushes + 1)
			VIOLATION("step %lu: cpu %d may still walk a freed table", step, c);
	}
}

void free_page(unsigned long addr)
{
	if (!addr)
		return;
	check_unwalked((void *)addr);
	pages_allocated--;
	free((void *)addr);
}

void mod_lruvec_page_state(struct page *page, int item, int n)
{
	/* A table is used, perhaps again. */
	if (n > 0)
		check_unwalked((u8 *)page - PAGE_SIZE);
	tables_accounted += n;
}

static unsigned int nr_gvas(int levels);
static u64 gva_of(const struct cpu *cpu, unsigned int id);

static void tlb_flush(struct cpu *cpu)
{
	memset(cpu->nr_tlb, 0, sizeof(cpu->nr_tlb));
	cpu->flushes++;
}

/* What a CPU still does by its TLB when a flush of all of them is on its way. */
static void (*last_moment)(void);

/* How many CPUs were asked to flush, and how often any was. */
static unsigned long flushes_asked, flush_calls;

void okvm_request_some(struct okvm_vm *vm, enum okvm_req req, u64 vcpus, bool wait)
{
	void (*others)(void) = last_moment;

	last_moment = NULL;
	if (others && req == OKVM_REQ_TLB_FLUSH)
		others();
	last_moment = others;
	assert(wait == (req == OKVM_REQ_TLB_FLUSH));
	flush_calls += wait;
	for (int i = 0; i < CPUS; i++) {
		if (!(vcpus & okvm_vcpu_bit(&cpus[i].vcpu)))
			continue;
		if (req == OKVM_REQ_MMU_RELOAD)
			cpus[i].reload = true;
		else
			tlb_flush(&cpus[i]);
		flushes_asked += wait;
	}
}

void okvm_mmu_flush_vm(struct okvm_vm *vm)
{
	okvm_request_some(vm, OKVM_REQ_TLB_FLUSH, OKVM_VCPUS_ALL, true);
}

static struct cpu *cpu_of(const struct okvm_vcpu *vcpu)
{
	return container_of(vcpu, struct cpu, vcpu);
}

void okvm_request(enum okvm_req req, struct okvm_vcpu *vcpu)
{
	cpu_of(vcpu)->reload = true;
}

static void ops_set_root(struct okvm_vcpu *vcpu, const struct okvm_root *root)
{
	cpu_of(vcpu)->root = *root;
}

static void ops_flush_tlb(struct okvm_vcpu *vcpu, enum okvm_tlb_scope scope, gva_t gva)
{
	struct cpu *cpu = cpu_of(vcpu);

	if (scope != OKVM_TLB_GVA) {
		tlb_flush(cpu);
		return;
	}
	/* The page of 4 KiB, and no other part of a larger one. */
	for (unsigned int id = 0; id < nr_gvas(cpu->mmu.mode.levels); id++) {
		if (gva_of(cpu, id) >> 12 == gva >> 12)
			cpu->nr_tlb[id] = 0;
	}
}

static struct okvm_mmu_ops ops = { .set_root = ops_set_root, .flush_tlb = ops_flush_tlb };

void read_lock(rwlock_t *lock)
{
	assert(!lock->writer);
	lock->readers++;
}

void read_unlock(rwlock_t *lock)
{
	assert(lock->readers-- > 0);
}

/* Somebody else may hold it. */
bool read_trylock(rwlock_t *lock)
{
	if (chance(10))
		return false;
	read_lock(lock);
	return true;
}

void write_lock(rwlock_t *lock)
{
	assert(!lock->writer && !lock->readers);
	lock->writer = true;
}

/* Likewise. */
bool write_trylock(rwlock_t *lock)
{
	if (chance(10))
		return false;
	write_lock(lock);
	return true;
}

/* Who takes the lock when it is free again. */
static void (*unlocked)(void);

void write_unlock(rwlock_t *lock)
{
	void (*others)(void) = unlocked;

	assert(lock->writer);
	lock->writer = false;
	unlocked = NULL;
	if (others)
		others();
}

/* The scheduler wants this CPU all the time. */
static bool resched;

int need_resched(void)
{
	return resched;
}

int rwlock_needbreak(rwlock_t *lock)
{
	return 1;
}

/* Who waits for the lock while something is removed. */
static void (*between)(void);

int cond_resched_rwlock_write(rwlock_t *lock)
{
	void (*others)(void) = between;

	assert(lock->writer);
	if (!others)
		return 1;
	between = NULL;
	lock->writer = false;
	others();
	lock->writer = true;
	between = others;
	return 1;
}

static struct shrinker shrinker;

struct shrinker *okvm_shrinker_add(const char *name,
				   unsigned long (*count)(struct shrinker *s,
							  struct shrink_control *sc),
				   unsigned long (*scan)(struct shrinker *s,
							 struct shrink_control *sc))
{
	shrinker.count_objects = count;
	shrinker.scan_objects = scan;
	return &shrinker;
}

void okvm_shrinker_remove(struct shrinker *s)
{
	shrinker = (struct shrinker){};
}

u64 okvm_slots_generation(struct okvm_vm *vm)
{
	return slots_gen;
}

void okvm_mark_dirty(struct okvm_vm *vm, struct okvm_memslot *slot, gfn_t gfn)
{
	if (slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
		host.dirty[gfn] = true;
}

struct okvm_memslot *fault_slot(struct okvm_vcpu *vcpu, gfn_t gfn, u64 *gen)
{
	*gen = slots_gen;
	return slot_of(gfn);
}

void nx_arm(struct okvm_mmu_vm *mmu)
{
}

bool okvm_arch_apf_possible(struct okvm_vcpu *vcpu)
{
	return false;
}

void okvm_arch_walk_regs(struct okvm_vcpu *vcpu, struct walk_regs *regs)
{
	struct cpu *cpu = cpu_of(vcpu);

	*regs = (struct walk_regs){ .cr3 = cpu->cr3, .ac = cpu->ac };
	memcpy(regs->pdptrs, cpu->pdptrs, sizeof(regs->pdptrs));
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	func(head);
}

/* ---- the host changes its mind ---- */

/* In the faults that these CPUs handle, others do what they like, but they do nothing else. */
static bool busy[CPUS];

/* Return: what busy[] said of the CPU before */
static bool busy_begin(const struct okvm_vcpu *vcpu)
{
	bool *b = &busy[cpu_of(vcpu) - cpus], before = *b;

	*b = true;
	return before;
}

static void busy_end(const struct okvm_vcpu *vcpu, bool before)
{
	busy[cpu_of(vcpu) - cpus] = before;
}

/* What others do when the host's pages are unmapped, and still there. */
static void (*invalidating)(void);

static void notify(u64 first, u64 end)
{
	void (*others)(void) = invalidating;
	struct mmu_zap z;

	hva_t from = slots[0].hva + first * PAGE_SIZE, to = slots[0].hva + end * PAGE_SIZE;

	if (!mmu.inv_active++) {
		mmu.inv_start = from;
		mmu.inv_end = to;
	}
	mmu.inv_start = from < mmu.inv_start ? from : mmu.inv_start;
	mmu.inv_end = to > mmu.inv_end ? to : mmu.inv_end;
	shadow_zap_begin(&z, &mmu, true);
	shadow_zap_range(&z, first, end);
	shadow_zap_end(&z);
	invalidating = NULL;
	if (others)
		others();
	invalidating = others;
	mmu.inv_seq++;
	mmu.inv_active--;
}

/* The frames get other pages behind them. */
static void host_move(u64 gfn)
{
	u64 block = gfn / 512;

	if (host.huge[block]) {
		notify(block * 512, block * 512 + 512);
		host.huge[block] = false;
		for (u64 g = block * 512; g < block * 512 + 512; g++)
			host.version[g] = host.block_version[block];
	}
	notify(gfn, gfn + 1);
	host.version[gfn] = ++host.next;
}

static void host_collapse(u64 block)
{
	notify(block * 512, block * 512 + 512);
	host.huge[block] = true;
	host.block_version[block] = ++host.next;
	for (u64 g = block * 512; g < block * 512 + 512; g++)
		host.writable[g] = true;
}

static void host_protect(u64 gfn)
{
	host_move(gfn);
	host.writable[gfn] = false;
}

int fault_verdict(const struct okvm_fault *f, int verdict)
{
	return verdict;
}

static void (*meanwhile)(struct okvm_vcpu *vcpu);

/* Make the page writable that the VMM writes to. */
static void host_copy(const struct okvm_fault *f)
{
	const bool before = busy_begin(f->vcpu);

	host_move(f->gfn);
	host.writable[f->gfn] = true;
	busy_end(f->vcpu, before);
}

/* The host does not ask before it does something, not even those who have their IRQs off. */
static void host_meddles(const struct okvm_vcpu *vcpu, u64 gfn)
{
	bool before;

	if (!meanwhile || mmu.lock.writer || mmu.lock.readers || !chance(8))
		return;
	before = busy_begin(vcpu);
	switch (rnd(3)) {
	case 0:
		host_move(gfn);
		break;
	case 1:
		host_collapse(gfn / 512);
		break;
	default:
		host_protect(gfn);
	}
	busy_end(vcpu, before);
}

int hostmem_resolve(struct okvm_fault *f)
{
	bool later = chance(50);
	u64 gfn = f->gfn;

	assert(!mmu.lock.writer && !mmu.lock.readers);
	/* Whose invalidation it is goes on when this CPU sleeps: a signal ends the sleep. */
	if (notifier_active(&mmu, f->hva))
		return OKVM_FAULT_SIGNAL;
	if (meanwhile && !later)
		meanwhile(f->vcpu);
	if (f->need & SPTE_WRITE && !host.writable[gfn])
		host_copy(f);
	f->pfn = pfn_of(gfn);
	f->writable = host_writable(gfn);
	f->missed |= chance(50);
	if (meanwhile && later)
		meanwhile(f->vcpu);
	return 0;
}

/* How often the host was asked for a page without waiting. */
static unsigned long host_asked;

/* Who has asked it last. */
static const struct okvm_vcpu *asking;

bool hostmem_get_fast(struct okvm_fault *f)
{
	host_asked++;
	if (!host.writable[f->gfn] || f->slot->flags & KVM_MEM_READONLY || chance(20))
		return false;
	f->pfn = pfn_of(f->gfn);
	f->writable = true;
	host_meddles(f->vcpu, f->gfn);
	asking = f->vcpu;
	return true;
}

int hostmem_level(struct okvm_vm *vm, hva_t hva)
{
	u64 page = (hva - slots[0].hva) >> PAGE_SHIFT;
	int level = host.huge[page / 512] ? 2 : 1;

	host_meddles(asking, page);
	return level;
}

void hostmem_release(struct okvm_fault *f)
{
}

int fault_level(struct okvm_fault *f)
{
	int level = host.huge[f->gfn / 512] && !(f->slot->flags & KVM_MEM_LOG_DIRTY_PAGES) ? 2 : 1;

	if (page_of(f->gfn) != f->gfn)
		level = 1;
	if (level == 1 || !(f->need & SPTE_EXEC) || !mmu.nx_huge)
		return level;
	f->nx_level = level;
	return 1;
}

/* ---- the guest's memory, as walkers see it ---- */

static int mem_read(u64 gpa, unsigned int size, u64 *val)
{
	u64 gfn = gpa >> 12;

	if (!slot_of(gfn))
		return -EFAULT;
	*val = mem[gfn][gpa % 4096 / 8];
	if (size == 4)
		*val = gpa & 4 ? *val >> 32 : (u32)*val;
	return 0;
}

static void mem_write(u64 gpa, unsigned int size, u64 val)
{
	memcpy((u8 *)mem[gpa >> 12] + gpa % 4096, &val, size);
}

static int walk_read(void *ctx, u64 gpa, unsigned int size, u64 *val)
{
	return mem_read(gpa, size, val);
}

static void remember(void);

static int mark(u64 gpa, unsigned int size, u64 old, u64 new)
{
	u64 is;

	if (mem_read(gpa, size, &is))
		return -EFAULT;
	if (slot_of(gpa >> 12)->flags & KVM_MEM_READONLY)
		return -EROFS;
	if (is != old)
		return 1;
	remember();
	mem_write(gpa, size, new);
	return 0;
}

static int walk_replace(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	int ret = mark(gpa, size, old, new);

	if (!ret)
		shadow_marked(ctx, gpa, size);
	return ret;
}

static const struct walk_ops mem_ops = { .read = walk_read, .replace = walk_replace };

/* Where the entry is by which the last walk has ended, 0 if it has not. */
static u64 walk_end;

/* Walks that may sleep. */
static unsigned long walks;

int gva_walk(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault)
{
	struct walk_regs regs;
	int verdict;

	walks++;
	okvm_arch_walk_regs(vcpu, &regs);
	verdict = walk_noted(&f->mode, &regs, &mem_ops, vcpu, f->gva, f->access, &f->path,
			     &f->result, fault);
	walk_end = verdict || !f->mode.levels ? 0 : f->path.at[f->path.level];
	return verdict;
}

static int walk_replace_fast(void *ctx, u64 gpa, unsigned int size, u64 old, u64 new)
{
	struct okvm_vcpu *vcpu = ctx;
	int ret;

	if (!shadow_mark_begin(shadow_of(vcpu), gpa, size))
		return -EAGAIN;
	ret = chance(10) ? -EFAULT : mark(gpa, size, old, new);
	shadow_mark_end(shadow_of(vcpu));
	return ret;
}

int gva_walk_fast(struct okvm_vcpu *vcpu, struct shadow_fault *f, struct walk_fault *fault)
{
	static const struct walk_ops fast_ops = { .read = walk_read, .replace = walk_replace_fast };
	struct walk_regs regs;

	okvm_arch_walk_regs(vcpu, &regs);
	return walk_noted(&f->mode, &regs, &fast_ops, vcpu, f->gva, f->access, &f->path,
			  &f->result, fault);
}

int gva_peek(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val)
{
	assert(mmu.lock.writer || mmu.lock.readers);
	return mem_read(gpa, size, val);
}

int gva_peek_line(struct okvm_vcpu *vcpu, gpa_t gpa, unsigned int size, u64 *val, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (gva_peek(vcpu, gpa + i * size, size, val + i))
			return -EFAULT;
	}
	return 0;
}

/* ---- the naive model: what the guest's tables say now ---- */

/* All that one walk says; @code is the #PF's, -1 if there is none but for the access. */
struct says {
	int code;
	u64 gfn;
	int level;
	bool write, user, exec, accessed, dirty;
};

static const struct walk_mode *mode_of(const struct cpu *cpu)
{
	return &cpu->mmu.mode;
}

static u64 above_maxphyaddr(const struct walk_mode *m, int from)
{
	return m->maxphyaddr < from ? ((1ull << (from - m->maxphyaddr)) - 1) << m->maxphyaddr : 0;
}

static bool entry_large(const struct walk_mode *m, u64 e, int level)
{
	return level == 1 || (level < 4 && e & 0x80 && (m->levels > 2 || m->pse));
}

static bool entry_reserved(const struct walk_mode *m, u64 e, int level)
{
	u64 bad;

	if (m->levels == 2) {
		if (level == 1 || !entry_large(m, e, level))
			return false;
		return e & 1 << 21 || (e >> 13 & 0xff) << 32 & above_maxphyaddr(m, 40);
	}
	bad = above_maxphyaddr(m, 52) | (m->nx ? 0 : 1ull << 63);
	if (m->levels == 3)
		bad |= 0x7ffull << 52;
	if (level >= 4 || (level == 3 && !m->gbpages))
		bad |= 0x80;
	if (level == 2 && e & 0x80)
		bad |= 0x1fe000;
	if (level == 3 && e & 0x80)
		bad |= 0x3fffe000;
	return e & bad;
}

static struct says naive(const struct cpu *cpu, u64 gva)
{
	const struct walk_mode *m = mode_of(cpu);
	struct says s = { -1, 0, 1, true, true, true, true, true };
	unsigned int bits = m->levels == 2 ? 10 : 9, size = m->levels == 2 ? 4 : 8;
	int level = m->levels == 3 ? 2 : m->levels;
	u64 e = 0, table = cpu->cr3 >> 12;

	if (!m->levels) {
		s.gfn = (u32)gva >> 12;
		return s;
	}
	if (m->levels == 3) {
		table = cpu->pdptrs[gva >> 30 & 3] >> 12;
		s.code = cpu->pdptrs[gva >> 30 & 3] & 1 ? -1 : 0;
	}
	for (; s.code < 0; level--) {
		unsigned int at = gva >> (12 + bits * (level - 1)) & ((1 << bits) - 1);
		bool kept = slot_of(table) && !(slot_of(table)->flags & KVM_MEM_READONLY);

		s.code = 0;
		if (mem_read(table << 12 | at * size, size, &e) || !(e & 1))
			break;
		s.code = 9;
		if (entry_reserved(m, e, level))
			break;
		s.code = -1;
		s.write &= e >> 1 & 1;
		s.user &= e >> 2 & 1;
		s.exec &= !(m->levels > 2 && e >> 63);
		s.accessed &= !kept || e & 0x20;
		table = e >> 12 & ((1ull << 40) - 1);
		if (entry_large(m, e, level)) {
			u64 below = (1ull << bits * (level - 1)) - 1;

			s.level = level;
			s.dirty = !kept || e & 0x40;
			s.gfn = (table & ~below) | (gva >> 12 & below);
			if (m->levels == 2 && level == 2)
				s.gfn = (e >> 22 & 0x3ff) << 10 | (e >> 13 & 0xff) << 20 |
					(gva >> 12 & 0x3ff);
			break;
		}
	}
	return s;
}

static bool kind_is_write(int kind)
{
	return kind == USER_WRITE || kind == KERNEL_WRITE || kind == AC_WRITE;
}

static bool kind_is_user(int kind)
{
	return kind <= USER_FETCH;
}

static bool kind_is_fetch(int kind)
{
	return kind == USER_FETCH || kind == KERNEL_FETCH;
}

/* SDM "Determination of Access Rights". */
static bool rights(const struct walk_mode *m, int kind, bool w, bool u, bool x, bool wp)
{
	if (kind_is_user(kind) && !u)
		return false;
	if (kind_is_write(kind) && !w && (kind_is_user(kind) || wp))
		return false;
	if (kind_is_fetch(kind))
		return x && (kind_is_user(kind) || !u || !m->smep);
	return kind_is_user(kind) || !u || !m->smap || kind >= AC_READ;
}

/* What a TLB may hold that was filled now. */
static u8 cacheable(const struct walk_mode *m, const struct says *s)
{
	u8 mask = 0;

	if (!m->levels)
		return (1 << KINDS) - 1;
	if (s->code >= 0 || !s->accessed)
		return 0;
	for (int kind = 0; kind < KINDS; kind++) {
		if (rights(m, kind, s->write, s->user, s->exec, m->wp) &&
		    (s->dirty || !kind_is_write(kind)))
			mask |= 1 << kind;
	}
	return mask;
}

/* The error code that the guest has to see for an access of @kind, -1 none. */
static int expected(const struct walk_mode *m, const struct says *s, int kind)
{
	int code = s->code;

	if (m->levels && code < 0 && !rights(m, kind, s->write, s->user, s->exec, m->wp))
		code = 1;
	if (code < 0)
		return code;
	if (kind_is_write(kind))
		code |= 2;
	if (kind_is_user(kind))
		code |= 4;
	if (kind_is_fetch(kind) && ((m->nx && m->levels > 2) || m->smep))
		code |= 16;
	return code;
}

/* ---- addresses of interest ---- */

static unsigned int nr_gvas(int levels)
{
	return levels == 2 ? 16 : levels == 3 ? 24 : GVAS;
}

static const u16 idx_low[] = { 0, 1, 2, 511 };
static const u16 idx_32[] = { 0, 1, 512, 1023 };
static const u16 idx_32_top[] = { 0, 1, 256, 1023 };
static const u8 idx_pdpt[] = { 0, 1, 3 };

static u64 gva_at(int levels, unsigned int id)
{
	u64 gva;

	switch (levels) {
	case 0:
		/* Frames of all blocks, and some where no memory is. */
		return (u64)(id < 8 ? id : id < 24 ? id / 8 * 512 + id % 8 : 4096 + id) << 12;
	case 2:
		return (u64)idx_32_top[id / 4] << 22 | idx_32[id % 4] << 12;
	case 3:
		return (u64)idx_pdpt[id / 8] << 30 | (id & 4 ? 511ull << 21 : 0) |
		       idx_low[id % 4] << 12;
	default:
		gva = (id & 16 ? 511ull << 39 : 0) | (u64)(id >> 3 & 1) << 30 |
		      (id & 4 ? 511ull << 21 : 0) | idx_low[id % 4] << 12;
		/* Canonical, for either size. */
		return id & 16 ? gva | 0xffffull << 48 : gva;
	}
}

static u64 gva_of(const struct cpu *cpu, unsigned int id)
{
	return gva_at(mode_of(cpu)->levels, id);
}

/* ---- what the guest's tables have said since the last flush ---- */

static void saw(struct cpu *cpu, unsigned int id, u64 gfn, u8 mask, int level)
{
	unsigned int i;

	for (i = 0; i < cpu->nr_seen[id]; i++) {
		if (cpu->seen[id][i].gfn == gfn && cpu->seen[id][i].level == level) {
			cpu->seen[id][i].mask |= mask;
			return;
		}
	}
	if (i == SEEN)
		return;
	cpu->seen[id][i] = (struct translation){ .gfn = gfn, .mask = mask, .level = level };
	cpu->nr_seen[id]++;
}

/* Before the guest's tables change. */
static void remember(void)
{
	for (int c = 0; c < CPUS; c++) {
		struct cpu *cpu = &cpus[c];

		for (unsigned int id = 0; id < nr_gvas(mode_of(cpu)->levels); id++) {
			struct says s = naive(cpu, gva_of(cpu, id));
			u8 mask = cacheable(mode_of(cpu), &s);

			if (mask)
				saw(cpu, id, s.gfn, mask, s.level);
		}
	}
}

static void guest_write(u64 gpa, unsigned int size, u64 val)
{
	remember();
	mem_write(gpa, size, val);
}

/* All that may be in a TLB for the address, and lead to @gfn. */
static u8 allowed(const struct cpu *cpu, unsigned int id, u64 gfn)
{
	struct says s = naive(cpu, gva_of(cpu, id));
	u8 mask = s.gfn == gfn ? cacheable(mode_of(cpu), &s) : 0;

	for (unsigned int i = 0; i < cpu->nr_seen[id]; i++) {
		if (cpu->seen[id][i].gfn == gfn)
			mask |= cpu->seen[id][i].mask;
	}
	return mask;
}

static bool seen_full(const struct cpu *cpu)
{
	for (unsigned int id = 0; id < GVAS; id++) {
		if (cpu->nr_seen[id] > SEEN - 6 || cpu->nr_tlb[id] > TLB - 4)
			return true;
	}
	return false;
}

/* ---- hardware ---- */

static u8 leaf_mask(const struct walk_mode *m, u64 leaf)
{
	/* Without paging of its own the guest has neither SMEP nor SMAP. */
	struct walk_mode hw = { .smep = m->levels && m->smep, .smap = m->levels && m->smap };
	u8 mask = 0;

	for (int kind = 0; kind < KINDS; kind++) {
		if (rights(&hw, kind, leaf & SHADOW_W, leaf & SHADOW_U, !(leaf & SHADOW_NX), true))
			mask |= 1 << kind;
	}
	return mask;
}

/* Walk the shadow. Return: the entry that maps, with accessed and dirty bits set, or NULL */
static u64 *hw_walk(struct cpu *cpu, u64 gva, int kind, u64 *gfn)
{
	u64 *table = cpu->root.table, *entry = NULL;
	int level = cpu->root.level;

	for (; ; level--) {
		entry = &table[level == 3 && cpu->root.level == 3 ? gva >> 30 & 3 :
			       spte_index(gva >> 12, level)];
		if (!(*entry & SHADOW_P))
			return NULL;
		if (level < 3 || cpu->root.level > 3)
			*entry |= SHADOW_A;
		if (level == 1 || *entry & SPTE_HUGE)
			break;
		table = __va(*entry & SPTE_ADDR);
		walked_by(table)[cpu - cpus] = cpu->flushes + 1;
	}
	if (!(leaf_mask(mode_of(cpu), *entry) & 1 << kind))
		return NULL;
	if (kind_is_write(kind))
		*entry |= SHADOW_D;
	*gfn = what_gfn(table_below(__pa(table))->what[entry - table]) +
	       (gva >> 12 & (spte_pages(level) - 1));
	return entry;
}

static void tlb_fill(struct cpu *cpu, unsigned int id, u64 leaf, u64 gfn)
{
	struct translation t = {
		.gfn = gfn, .mask = leaf_mask(mode_of(cpu), leaf),
		.pfn = spte_pfn(leaf) + (leaf & SPTE_HUGE ? gva_of(cpu, id) >> 12 & 511 : 0),
	};

	for (unsigned int i = 0; i < cpu->nr_tlb[id]; i++) {
		struct translation *is = &cpu->tlb[id][i];

		if (is->gfn == t.gfn && is->pfn == t.pfn && is->mask == t.mask)
			return;
	}
	if (cpu->nr_tlb[id] < TLB)
		cpu->tlb[id][cpu->nr_tlb[id]++] = t;
}

static struct translation *tlb_find(struct cpu *cpu, unsigned int id, int kind)
{
	for (unsigned int i = 0; i < cpu->nr_tlb[id]; i++) {
		if (cpu->tlb[id][i].mask & 1 << kind)
			return &cpu->tlb[id][i];
	}
	return NULL;
}
