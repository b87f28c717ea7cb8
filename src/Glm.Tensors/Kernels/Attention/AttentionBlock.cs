using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Attention of a block of queries of one head over pages of its keys and values, which come one after another. Queries are packed into panels of
/// <see cref="AttentionTile.Lanes"/> lanes; scores, weights and sums have the same lanes.
/// </summary>
/// <remarks>
/// Of each query the maximum m of its scores s so far is kept, the sum l of e^(s - m) and the vector o of e^(s - m) v; a page that raises m to m'
/// multiplies l and o by e^(m - m'). At last the result is o / l. So no score outlives its page (Milakov and Gimelshein, Online normalizer calculation for
/// softmax, 2018).
/// </remarks>
internal readonly unsafe ref struct AttentionBlock
{
    /// <summary>Keys of a page.</summary>
    public const int Keys = 64;

    /// <summary>Lanes of a panel of pairs of a page's keys or values (<see cref="PairPacking"/>).</summary>
    public const int PairPanel = Packing.MaxWidth;

    private const int Lanes = AttentionTile.Lanes;

    private readonly int _rows, _panels, _size, _paddedSize, _keyPanel, _valuePanel;
    private readonly float* _queries, _sums, _maxima, _totals, _slopes, _factors, _scores, _spare;
    private readonly int* _visible;
    private readonly bool _withSlopes, _isPairs;

    /// <summary>
    /// A block of <paramref name="rows"/> queries of width <paramref name="size"/>, in <see cref="Floats"/> floats of scratch memory; whether scores fall with
    /// the distance of the key (<see cref="SetSlope"/>); whether keys and values are <paramref name="pairs"/> of bfloat16, to which queries and weights are rounded
    /// too, of an even width.
    /// </summary>
    public AttentionBlock(int rows, int size, float* memory, bool withSlopes = false, bool pairs = false)
    {
        _rows = rows;
        _panels = Panels(rows);
        _size = size;
        _paddedSize = PaddedSize(size);
        _queries = memory;
        _sums = _queries + (long)_panels * Lanes * size;
        _maxima = _sums + (long)_panels * Lanes * _paddedSize;
        _totals = _maxima + _panels * Lanes;
        _visible = (int*)(_totals + _panels * Lanes);
        _slopes = (float*)(_visible + _panels * Lanes);
        _withSlopes = withSlopes;
        _isPairs = pairs;
        _keyPanel = pairs ? PairPanel : Keys;
        _valuePanel = pairs ? PairPanel : _paddedSize;
        _factors = _slopes + _panels * Lanes;
        _scores = _factors + Lanes;
        _spare = _scores + Keys * Lanes;
    }

    /// <summary>Scratch memory of a block, of which the last <paramref name="rows"/> x <paramref name="size"/> or more are <see cref="Rows"/>.</summary>
    public static long Floats(int rows, int size) =>
        Panels(rows) * (long)Lanes * (size + PaddedSize(size) + 4) + Lanes + Keys * Lanes + Panels(rows) * (long)Lanes * size;

    /// <summary>Columns of a row of values: whole tiles of sums.</summary>
    public static int PaddedSize(int size) => (size + AttentionTile.Rows - 1) / AttentionTile.Rows * AttentionTile.Rows;

    /// <summary>The queries, before <see cref="Begin"/>, and the results, after <see cref="End"/>: <c>[rows, size]</c>.</summary>
    public float* Rows => _spare;

    private static int Panels(int rows) => (rows + Lanes - 1) / Lanes;

    /// <summary>Takes the queries in <see cref="Rows"/>, times <paramref name="scale"/>.</summary>
    public void Begin(float scale, InstructionSet isa)
    {
        Vectors.Scale(scale, _spare, _rows * _size);
        Packing.Pack(Matrix.Dense(_spare, _rows, _size), 0, _rows, 0, _size, Lanes, _queries, null, isa);
        for (int panel = 0; panel < _panels && _isPairs; panel++) MakePairs(_queries + (long)panel * Lanes * _size, _size);
        new Span<float>(_sums, _panels * Lanes * _paddedSize).Clear();
        new Span<float>(_maxima, _panels * Lanes).Fill(float.NegativeInfinity);
        new Span<float>(_totals, _panels * Lanes).Clear();
    }

    /// <summary>How many keys query <paramref name="row"/> sees, at least one; rows come in order and never see fewer than those before. The lanes after the last row see as many.</summary>
    public void SetVisible(int row, int keys)
    {
        int end = row == _rows - 1 ? _panels * Lanes : row + 1;
        for (; row < end; row++) _visible[row] = keys;
    }

    /// <summary>
    /// By how much the scores of query <paramref name="row"/> fall from key to key. The distance is counted from the last key that it sees: what is the same for
    /// all keys of a query, the softmax takes out.
    /// </summary>
    public void SetSlope(int row, float slope)
    {
        int end = row == _rows - 1 ? _panels * Lanes : row + 1;
        for (; row < end; row++) _slopes[row] = slope;
    }

    /// <summary>Takes in a page.</summary>
    /// <param name="first">Number of its first key.</param>
    /// <param name="keys"><c>[size, 64]</c>: the elements of a key stand below one another; of pairs two panels <c>[size / 2, 32]</c>.</param>
    /// <param name="values"><c>[64, <see cref="PaddedSize"/>]</c>; of pairs panels <c>[32, 32]</c> for all columns.</param>
    /// <param name="isa">Which kernels to use.</param>
    public void Add(int first, float* keys, float* values, InstructionSet isa)
    {
        for (int panel = 0; panel < _panels; panel++)
        {
            int* visible = _visible + panel * Lanes;
            int count = Math.Min(Keys, visible[Lanes - 1] - first);
            if (count <= 0) continue;
            float* queries = _queries + (long)panel * Lanes * _size, sums = _sums + (long)panel * Lanes * _paddedSize;
            for (int key = 0; key < count; key += AttentionTile.Rows)
                RunTile(_size, Tile(keys, _keyPanel, _size / 2, key), _keyPanel, queries, null, _scores + key * Lanes, isa);
            if (_withSlopes) AddDistances(visible, _slopes + panel * Lanes, first, count);
            if (visible[0] < first + count) Hide(visible, first, count);
            Exponentiate(count, _maxima + panel * Lanes, _totals + panel * Lanes);
            if (_isPairs) MakePairs(_scores, count);
            for (int column = 0; column < _size; column += AttentionTile.Rows)
                RunTile(count, Tile(values, _valuePanel, Keys / 2, column), _valuePanel, _scores, _factors, sums + (long)column * Lanes, isa);
        }
    }

    private void RunTile(int depth, float* a, int stride, float* b, float* factors, float* sums, InstructionSet isa)
    {
        if (_isPairs) AttentionPairTile.Run((depth + 1) / 2, a, stride, b, factors, sums);
        else AttentionTile.Run(depth, a, stride, b, factors, sums, isa);
    }

    /// <summary>Lane <paramref name="lane"/> of panels of some width and depth.</summary>
    private static float* Tile(float* panels, int width, int depth, int lane) => panels + lane / width * depth * width + lane % width;

    /// <summary>Two successive rows of lanes become one of pairs of bfloat16, in place; what has no second is paired with zero.</summary>
    private static void MakePairs(float* rows, int count)
    {
        const int panel = 12;
        var cut = PairConversion.Cut(DType.Float32, panel);
        if (count % 2 != 0) new Span<float>(rows + count * Lanes, Lanes).Clear();
        for (int row = 0; row < count; row += 2) cut(rows + row * Lanes, rows + (row + 1) * Lanes, Lanes / panel, rows + row / 2 * Lanes, panel * sizeof(float));
    }

    /// <summary>Leaves the results in <see cref="Rows"/>.</summary>
    public void End(InstructionSet isa)
    {
        for (int panel = 0; panel < _panels; panel++)
        {
            int rows = Math.Min(Lanes, _rows - panel * Lanes);
            float* target = _spare + (long)panel * Lanes * _size;
            Packing.Pack(Matrix.Dense(_sums + (long)panel * Lanes * _paddedSize, _size, Lanes), 0, _size, 0, rows, _size, target, null, isa);
            for (int row = 0; row < rows; row++) Vectors.Scale(1 / _totals[panel * Lanes + row], target + (long)row * _size, _size);
        }
    }

    /// <summary>Adds slope x (key - last visible key).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AddDistances(int* visible, float* slopes, int first, int count)
    {
        for (int lane = 0; lane < Lanes; lane += Vectors.Width)
        {
            var slope = Vector512.Load(slopes + lane);
            var distance = Vector512.ConvertToSingle(Vector512.Create(first + 1) - Vector512.Load(visible + lane));
            float* scores = _scores + lane;
            for (int key = 0; key < count; key++, scores += Lanes, distance += Vector512<float>.One)
                Vector512.FusedMultiplyAdd(slope, distance, Vector512.Load(scores)).Store(scores);
        }
    }

    /// <summary>Scores of keys that a query does not see become minus infinity.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Hide(int* visible, int first, int count)
    {
        var hidden = Vector512.Create(float.NegativeInfinity);
        for (int lane = 0; lane < Lanes; lane += Vectors.Width)
        {
            var seen = Vector512.Load(visible + lane) - Vector512.Create(first);
            float* scores = _scores + lane;
            for (int key = 0; key < count; key++, scores += Lanes)
                Vector512.ConditionalSelect(Vector512.GreaterThan(seen, Vector512.Create(key)).AsSingle(), Vector512.Load(scores), hidden).Store(scores);
        }
    }

    /// <summary>Turns scores into e^(s - m), brings m and l up to them, and leaves what o is to be multiplied by in the factors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Exponentiate(int count, float* maxima, float* totals)
    {
        for (int lane = 0; lane < Lanes; lane += Vectors.Width)
        {
            float* scores = _scores + lane;
            Vector512<float> old = Vector512.Load(maxima + lane), even = old, odd = old;
            int key = 0;
            for (; key + 2 <= count; key += 2)
            {
                even = Vector512.Max(even, Vector512.Load(scores + key * Lanes));
                odd = Vector512.Max(odd, Vector512.Load(scores + key * Lanes + Lanes));
            }
            if (key < count) even = Vector512.Max(even, Vector512.Load(scores + key * Lanes));
            var max = Vector512.Max(even, odd);
            var factor = VectorMath.Exp(old - max);
            var total = factor * Vector512.Load(totals + lane);
            for (key = 0; key < count; key++)
            {
                var weight = VectorMath.Exp(Vector512.Load(scores + key * Lanes) - max);
                weight.Store(scores + key * Lanes);
                total += weight;
            }
            max.Store(maxima + lane);
            total.Store(totals + lane);
            factor.Store(_factors + lane);
        }
    }
}
