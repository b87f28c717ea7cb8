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
        if (_free.Count == 0) Grow(2 * _users.Count);
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
        foreach (var layer in _pages) layer.Slice(copy, 1).CopyFrom(layer.Slice(page, 1));
        Drop(page);
        return copy;
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
            if (_table.Count == 0 && before > 0) Share(_cache._beginning!);
            int last = _table.Count - 1;
            if (past % CachedAttentionOperation.PageTokens != 0 && _cache._users[_table[last]] > 1) _table[last] = _cache.OwnCopy(_table[last]);
            Length += tokens;
            while (_table.Count * CachedAttentionOperation.PageTokens < before + Length) _table.Add(_cache.Take());
            return new CachedSequence(firstRow, tokens, past, division == 0 ? 0 : before + division, _table);
        }

        /// <summary>A second sequence with the same past, sharing its pages.</summary>
        public Sequence Fork()
        {
            var fork = new Sequence(_cache) { Length = Length };
            fork.Share(this);
            return fork;
        }

        private void Share(Sequence other)
        {
            _table.AddRange(other._table);
            foreach (int page in _table) _cache._users[page]++;
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
