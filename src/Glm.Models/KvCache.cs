using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// Keys and values of past tokens in pages of 64 tokens per layer (spec 1.9). Sequences hold tables of pages; pages are shared between forks of a
/// sequence (beams) and copied when one of them writes.
/// </summary>
public sealed class KvCache
{
    private readonly HeadLayout _heads;
    private readonly DType _type;
    private readonly Tensor[] _pages;
    private readonly List<int> _users = [];
    private readonly Stack<int> _free = new();
    private Sequence? _beginning;
    private readonly List<(int From, int To)> _copied = [];

    /// <summary>An empty cache that grows with what is put in. Keys and values are stored in a floating-point type, or int8 with a scale for each token and head.</summary>
    public KvCache(int layers, HeadLayout heads, DType type = DType.Float32)
    {
        _heads = heads;
        _type = type;
        _pages = new Tensor[layers];
        Grow(4);
    }

    /// <summary>Pages that hold tokens of some sequence.</summary>
    public int UsedPages => _users.Count - _free.Count;

    /// <summary>Most pages that it grows to; whoever appends sees to it that there are enough.</summary>
    public int MaxPages { get; init; } = int.MaxValue;

    /// <summary>Whether it remembers which pages were copied, for caches of other processes that hold the other heads (<see cref="TakeCopied"/>).</summary>
    public bool IsFollowed { get; set; }

    /// <summary>Pages that can still be taken.</summary>
    public int FreePages => MaxPages - UsedPages;

    /// <summary>Pages that a sequence of so many tokens takes, those of virtual tokens included.</summary>
    public int PagesOf(int tokens) => ((_beginning?.Length ?? 0) + tokens + CachedAttentionOperation.PageTokens - 1) / CachedAttentionOperation.PageTokens;

    /// <summary>Bytes that one page takes in all layers.</summary>
    public long PageBytes => _pages.Length * CachedAttentionOperation.TokenBytes(_type, _heads) * CachedAttentionOperation.PageTokens;

    /// <summary>The pages of one layer (<see cref="CachedAttentionOperation.NewPages"/>).</summary>
    public Tensor Pages(int layer) => _pages[layer];

    /// <summary>Lets every sequence that is added from now on begin with virtual tokens, whose pages all of them share.</summary>
    /// <param name="context">Where to compute; it is reset.</param>
    /// <param name="tokens">Keys and values of this cache's layers.</param>
    public void BeginWith(Context context, VirtualTokens tokens)
    {
        var sequence = Add();
        var part = sequence.Append(0, tokens.Count, division: 0);
        for (int layer = 0; layer < _pages.Length; layer++)
        {
            context.Reset();
            context.CachedAttention(tokens.Layers[layer], _heads, _pages[layer], [part]);
        }
        _beginning = sequence;
    }

    /// <summary>A new, empty sequence.</summary>
    public Sequence Add() => new(this);

    private int Take()
    {
        if (_free.Count == 0)
        {
            if (_users.Count >= MaxPages) throw new InvalidOperationException($"all {MaxPages} pages of keys and values are in use");
            Grow((int)Math.Min(2L * _users.Count, Math.Max(MaxPages, _users.Count + 1)));
        }
        int page = _free.Pop();
        _users[page] = 1;
        return page;
    }

    private void Drop(int page)
    {
        if (--_users[page] == 0) _free.Push(page);
    }

    private int OwnCopy(int page)
    {
        int copy = Take();
        Copy(page, copy);
        if (IsFollowed) _copied.Add((page, copy));
        Drop(page);
        return copy;
    }

    private void Copy(int from, int to)
    {
        foreach (var layer in _pages) layer.Slice(to, 1).CopyFrom(layer.Slice(from, 1));
    }

    /// <summary>The pages that were copied since this was asked the last time.</summary>
    public (int From, int To)[] TakeCopied()
    {
        (int, int)[] copied = [.. _copied];
        _copied.Clear();
        return copied;
    }

    /// <summary>Does what the cache of another process did: has at least so many pages, and copies some. Sequences are the other cache's business then.</summary>
    public void Follow(int pages, ReadOnlySpan<(int From, int To)> copied)
    {
        if (pages > _users.Count) Grow(Math.Max(pages, 2 * _users.Count));
        foreach (var (from, to) in copied) Copy(from, to);
    }

    private void Grow(int pages)
    {
        int old = _users.Count;
        for (int layer = 0; layer < _pages.Length; layer++)
        {
            var larger = CachedAttentionOperation.NewPages(_type, pages, _heads);
            if (old > 0) larger.Slice(0, old).CopyFrom(_pages[layer]);
            _pages[layer] = larger;
        }
        for (int page = pages - 1; page >= old; page--) _free.Push(page);
        while (_users.Count < pages) _users.Add(0);
    }

    /// <summary>The cached tokens of one sequence.</summary>
    public sealed class Sequence
    {
        private readonly KvCache _cache;
        private readonly List<int> _table = [];

        internal Sequence(KvCache cache) => _cache = cache;

        /// <summary>Tokens in the cache, virtual ones not counted.</summary>
        public int Length { get; private set; }

        /// <summary>
        /// Makes room for new tokens, whose keys and values the next forward pass writes, and describes the sequence to
        /// <see cref="CachedAttentionOperation.CachedAttention"/>. The description is valid until the next call of a method of the sequence.
        /// </summary>
        /// <param name="firstRow">Row of the first new token in the batch.</param>
        /// <param name="tokens">Number of new tokens.</param>
        /// <param name="division">Length of the bidirectional context.</param>
        public CachedSequence Append(int firstRow, int tokens, int division)
        {
            int before = _cache._beginning?.Length ?? 0, past = before + Length;
            if (_table.Count == 0 && before > 0) Share(_cache._beginning!, _cache._beginning!._table.Count);
            int last = _table.Count - 1;
            if (past % CachedAttentionOperation.PageTokens != 0 && _cache._users[_table[last]] > 1) _table[last] = _cache.OwnCopy(_table[last]);
            Length += tokens;
            while (_table.Count * CachedAttentionOperation.PageTokens < before + Length) _table.Add(_cache.Take());
            return new CachedSequence(firstRow, tokens, past, division == 0 ? 0 : before + division, _table);
        }

        /// <summary>Pages that <see cref="Append"/> of so many tokens takes from the cache.</summary>
        public int NewPages(int tokens)
        {
            int before = _cache._beginning?.Length ?? 0, past = before + Length, pages = _cache.PagesOf(Length + tokens) - _table.Count;
            // The pages of virtual tokens are there already, and shared; what is shared and not full is copied.
            if (_table.Count == 0 && before > 0) pages -= _cache._beginning!._table.Count;
            bool shared = past % CachedAttentionOperation.PageTokens != 0 && (_table.Count == 0 || _cache._users[_table[^1]] > 1);
            return pages + (shared ? 1 : 0);
        }

        /// <summary>A second sequence with the same past, sharing its pages.</summary>
        public Sequence Fork() => Fork(Length);

        /// <summary>A second sequence with the first <paramref name="tokens"/> tokens of the past, sharing the pages that they lie in.</summary>
        public Sequence Fork(int tokens)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, Length);
            var fork = new Sequence(_cache) { Length = tokens };
            if (_table.Count > 0) fork.Share(this, _cache.PagesOf(tokens));
            return fork;
        }

        /// <summary>Forgets the tokens from <paramref name="tokens"/> on.</summary>
        public void Truncate(int tokens)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(tokens, Length);
            Length = tokens;
            for (int pages = _cache.PagesOf(tokens); _table.Count > pages; _table.RemoveAt(_table.Count - 1)) _cache.Drop(_table[^1]);
        }

        private void Share(Sequence other, int pages)
        {
            for (int i = 0; i < pages; i++)
            {
                _table.Add(other._table[i]);
                _cache._users[other._table[i]]++;
            }
        }

        /// <summary>Gives the pages back; the sequence is empty then.</summary>
        public void Release()
        {
            foreach (int page in _table) _cache.Drop(page);
            _table.Clear();
            Length = 0;
        }
    }
}
