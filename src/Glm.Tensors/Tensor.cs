namespace Glm.Tensors;

/// <summary>
/// A dense row-major array in native or mapped memory. Its data are reached from outside this assembly only through explicit
/// copies to and from the host, so that memory of another device can stand behind it.
/// </summary>
/// <remarks>
/// A weight that is quantised by output row is a tensor <c>[out, in]</c> of <see cref="DType.Int8"/> or <see cref="DType.Int4"/>
/// with <see cref="Scales"/>.
/// </remarks>
public sealed unsafe class Tensor
{
    private readonly int[] _shape;
    private readonly Storage _storage;

    internal Tensor(Storage storage, byte* data, DType type, ReadOnlySpan<int> shape)
    {
        Count = CountOf(shape);
        _storage = storage;
        _shape = shape.ToArray();
        Data = data;
        Type = type;
    }

    /// <summary>A new tensor in memory of its own, not cleared.</summary>
    public static Tensor Allocate(DType type, params ReadOnlySpan<int> shape)
    {
        var storage = Storage.Native(type.Bytes(CountOf(shape)));
        return new Tensor(storage, storage.Data, type, shape);
    }

    /// <summary>A new tensor of zeros.</summary>
    public static Tensor Zeros(DType type, params ReadOnlySpan<int> shape)
    {
        var tensor = Allocate(type, shape);
        tensor.Clear();
        return tensor;
    }

    /// <summary>A new float32 tensor with these values.</summary>
    public static Tensor From(ReadOnlySpan<float> values, params ReadOnlySpan<int> shape)
    {
        var tensor = Allocate(DType.Float32, shape);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>How an element is stored.</summary>
    public DType Type { get; }

    /// <summary>The dimensions, outermost first.</summary>
    public ReadOnlySpan<int> Shape => _shape;

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Size of the data in bytes, without scales.</summary>
    public long Bytes => Panels is { } panels ? panels.Bytes : Type.Bytes(Count);

    /// <summary>Whether this is a weight that <see cref="Pack"/> brought into the order in which a kernel reads it.</summary>
    public bool IsPacked => Panels is not null;

    /// <summary>Whether this is a weight of integers with scales, by row or in blocks, packed or not.</summary>
    public bool IsQuantized => Scales is not null || Type.IsBlock();

    /// <summary>The layout of a packed weight.</summary>
    internal PanelLayout? Panels { get; private init; }

    /// <summary>Where this weight is read from whenever it is multiplied, if it does not stay in memory (<see cref="WeightStream"/>).</summary>
    internal StreamedWeight? Streamed { get; private init; }

    /// <summary>What <see cref="LinearOperation.Linear"/> adds to the product with this weight; its elements, and copies of them, know nothing of it.</summary>
    public LowRank? Addition { get; private init; }

    /// <summary>Whether this tensor lies in a mapped file, so that it takes memory only where it is touched.</summary>
    public bool IsMapped => MappedFile is not null;

    /// <summary>Lets the system take back the memory of a mapped tensor that has been read and will not be soon.</summary>
    public void ReleasePages()
    {
        _storage.ReleasePages(Data, Bytes);
        GC.KeepAlive(this);
    }

    /// <summary>
    /// Lets the file that this tensor is mapped from, if it is, be read in large pages: reading all of it over and over, as weights are, waits less for address
    /// translation; of a file of which few rows are wanted, it would take needless memory.
    /// </summary>
    public void PreferLargePages() => _storage.PreferLargePages();

    /// <summary>The file that this tensor is mapped from, and its first byte there; null if it lies in memory.</summary>
    internal (string Path, long Offset)? MappedFile => _storage.Path is { } path ? (path, Data - _storage.Data) : null;

    /// <summary>The innermost dimension.</summary>
    public int Columns => _shape.Length == 0 ? 1 : _shape[^1];

    /// <summary>Product of all dimensions but the innermost.</summary>
    public int Rows => Columns == 0 ? 0 : checked((int)(Count / Columns));

    /// <summary>
    /// For a weight quantised by output row: float16 scales <c>[input segments, out]</c>. A file quantised per tensor-parallel shard
    /// has one segment per shard of the input dimension.
    /// </summary>
    public Tensor? Scales { get; init; }

    /// <summary>
    /// The gradient of the loss with respect to this tensor, float32, where one is wanted or was computed; parameters that are
    /// trained hold theirs from the beginning.
    /// </summary>
    public Tensor? Gradient { get; set; }

    /// <summary>Whether a backward pass computes <see cref="Gradient"/>: set on parameters that are trained, and on what depends on them.</summary>
    public bool RequiresGradient { get; set; }

    internal byte* Data { get; }

    internal float* Floats
    {
        get
        {
            if (Type != DType.Float32) throw new InvalidOperationException($"a float32 tensor was expected, this one is {Type}");
            return (float*)Data;
        }
    }

    internal int* Ints
    {
        get
        {
            if (Type != DType.Int32) throw new InvalidOperationException($"an int32 tensor was expected, this one is {Type}");
            return (int*)Data;
        }
    }

    /// <summary>Whether this object describes just that tensor.</summary>
    internal bool Is(Storage storage, byte* data, DType type, ReadOnlySpan<int> shape) =>
        Data == data && Type == type && ReferenceEquals(_storage, storage) && shape.SequenceEqual(_shape);

    /// <summary>The same elements under another shape, without a copy.</summary>
    public Tensor Reshape(params ReadOnlySpan<int> shape)
    {
        RowOrder();
        if (CountOf(shape) != Count) throw new ArgumentException($"{Describe(shape)} has not the {Count} elements of {Describe(Shape)}");
        return new Tensor(_storage, Data, Type, shape) { Scales = Scales };
    }

    /// <summary>
    /// These bytes as a weight <c>[out, in]</c> quantised by output row, without a copy: <see cref="DType.Int8"/> if each row has <paramref name="columns"/>
    /// bytes, <see cref="DType.Int4"/> if it has half as many.
    /// </summary>
    /// <param name="rows">The output dimension.</param>
    /// <param name="columns">The input dimension.</param>
    /// <param name="scales">Float16 <c>[out]</c> or <c>[input segments, out]</c>.</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public Tensor AsQuantized(int rows, int columns, Tensor scales)
    {
        var type = Shape.SequenceEqual([rows, columns]) ? DType.Int8 : DType.Int4;
        bool fits = Type == DType.Int8 && (type == DType.Int8 || (columns % 2 == 0 && Shape.SequenceEqual([rows, columns / 2])));
        int segments = scales._shape is [_] ? 1 : scales._shape is [> 0, _] ? scales._shape[0] : 0;
        if (!fits || scales.Type != DType.Float16 || segments == 0 || scales.Columns != rows || columns % segments != 0)
            throw new ArgumentException($"{this} with scales {scales} is not a quantised weight {Describe([rows, columns])}");
        return new Tensor(_storage, Data, type, [rows, columns]) { Scales = scales.Reshape(segments, rows) };
    }

    /// <summary>
    /// A copy of this quantised weight <c>[out, in]</c> in the order in which the fastest kernels read it: the same values, at nearly the same size.
    /// Scales by output row are shared.
    /// </summary>
    /// <exception cref="InvalidOperationException">This is no quantised weight, or is packed already.</exception>
    public Tensor Pack(Workers workers)
    {
        if (IsPacked || !PanelLayout.Takes(Type) || _shape.Length != 2 || (!Type.IsBlock() && Scales is null))
            throw new InvalidOperationException($"{this} is not a quantised weight in rows");
        var layout = new PanelLayout(Type, Rows, Columns, Scales?.Rows ?? 1);
        var storage = Storage.Native(layout.Bytes);
        workers.For(layout.Panels, (panel, _) => PanelPacking.PackPanel(layout, Data, panel, storage.Data + panel * layout.PanelBytes));
        GC.KeepAlive(this);
        return new Tensor(storage, storage.Data, Type, _shape) { Scales = Scales, Panels = layout };
    }

    /// <summary>The name of the packed layout, which is the same on every machine; bytes under another name cannot be read by <see cref="AsPacked"/>.</summary>
    public const string PackedLayout = "panels-16x32-2";

    /// <summary>The bytes of a packed weight <c>[panels, bytes per panel]</c>, to be saved; scales by output row are not among them.</summary>
    public Tensor PackedBytes => Panels is { } panels
        ? new Tensor(_storage, Data, DType.UInt8, [panels.Panels, checked((int)panels.PanelBytes)])
        : throw new InvalidOperationException($"{this} is not packed");

    /// <summary>The shape that <see cref="PackedBytes"/> of this quantised weight will have, before it is packed.</summary>
    public static int[] PackedShape(Tensor weight)
    {
        var layout = new PanelLayout(weight.Type, weight.Rows, weight.Columns, weight.Scales?.Rows ?? 1);
        return [layout.Panels, checked((int)layout.PanelBytes)];
    }

    /// <summary>These <see cref="PackedBytes"/> as a weight again, without a copy.</summary>
    /// <param name="type">The type that was packed.</param>
    /// <param name="rows">The output dimension.</param>
    /// <param name="columns">The input dimension.</param>
    /// <param name="scales">Float16 <c>[input segments, out]</c> if the type has scales by output row.</param>
    /// <exception cref="ArgumentException">The sizes do not fit.</exception>
    public Tensor AsPacked(DType type, int rows, int columns, Tensor? scales = null)
    {
        int segments = scales?.Rows ?? 1;
        bool fits = PanelLayout.Takes(type) && type.IsBlock() == scales is null && columns % (type.IsBlock() ? PanelLayout.BlockInputs : segments) == 0
            && (scales is null || (scales.Type == DType.Float16 && scales.Columns == rows));
        var layout = new PanelLayout(type, rows, columns, segments);
        if (!fits || Type != DType.UInt8 || Bytes != layout.Bytes)
            throw new ArgumentException($"{this} with scales {scales?.ToString() ?? "none"} is not a packed {type} {Describe([rows, columns])}");
        return new Tensor(_storage, Data, type, [rows, columns]) { Scales = scales, Panels = layout };
    }

    /// <summary>The same weight <c>[out, in]</c> of any kind, without a copy, whose products have something added to them.</summary>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    public Tensor With(LowRank addition)
    {
        if (_shape.Length != 2 || !addition.Down.Shape.SequenceEqual([addition.Up.Columns, Columns]) || !addition.Up.Shape.SequenceEqual([Rows, addition.Down.Rows]))
            throw new ArgumentException($"{addition} does not fit a weight {this}", nameof(addition));
        return new Tensor(_storage, Data, Type, _shape) { Scales = Scales, Panels = Panels, Streamed = Streamed, Addition = addition };
    }

    /// <summary>The same weight, read from its file whenever it is multiplied.</summary>
    internal Tensor WithStream(StreamedWeight streamed) => new(_storage, Data, Type, _shape) { Scales = Scales, Panels = Panels, Streamed = streamed, Addition = Addition };

    /// <summary>A weight of the same kind and shape in memory of its own, not cleared; scales by output row and an adapter's addition are shared.</summary>
    internal Tensor LikeInMemory()
    {
        var storage = Storage.Native(Bytes);
        return new Tensor(storage, storage.Data, Type, _shape) { Scales = Scales, Panels = Panels, Addition = Addition };
    }

    /// <summary>Rows <paramref name="start"/> to <paramref name="start"/> + <paramref name="rows"/> of the outermost dimension, without a copy.</summary>
    public Tensor Slice(int start, int rows)
    {
        if (start < 0 || rows < 0 || start + rows > _shape[0]) throw new ArgumentOutOfRangeException(nameof(start));
        if (RowOrder().Scales is not null) throw new InvalidOperationException("a quantised weight cannot be sliced");
        int[] shape = Shape.ToArray();
        shape[0] = rows;
        long inner = _shape[0] == 0 ? 0 : Count / _shape[0];
        return new Tensor(_storage, Data + Type.Bytes(start * inner), Type, shape);
    }

    /// <summary>Sets every byte to zero.</summary>
    public void Clear()
    {
        for (long done = 0; done < Bytes; done += 1 << 30)
            new Span<byte>(Data + done, (int)Math.Min(Bytes - done, 1 << 30)).Clear();
        GC.KeepAlive(this);
    }

    /// <summary>Copies host values in, rounding to the tensor's type.</summary>
    public void CopyFrom(ReadOnlySpan<float> values)
    {
        Require(values.Length);
        fixed (float* source = values) TensorRows.FromFloats(source, Data, Type, values.Length);
        GC.KeepAlive(this);
    }

    /// <summary>Copies another tensor in, converting between floating-point types.</summary>
    public void CopyFrom(Tensor source)
    {
        Require(source.RowOrder().Count);
        if (source.Type == Type) Buffer.MemoryCopy(source.Data, Data, Bytes, Bytes);
        else if (Type == DType.Float32) TensorRows.ToFloats(source.Data, source.Type, Floats, Count);
        else if (source.Type == DType.Float32) TensorRows.FromFloats(source.Floats, Data, Type, Count);
        else CopyFrom(source.To(DType.Float32));
        // Memory is freed with the last reference, which may be behind us while the copy runs: a temporary tensor's, above all.
        GC.KeepAlive(source);
        GC.KeepAlive(this);
    }

    /// <summary>Copies the elements to the host as float32. Quantised weights are not expanded by this.</summary>
    public void CopyTo(Span<float> values)
    {
        Require(values.Length);
        fixed (float* destination = values) TensorRows.ToFloats(Data, Type, destination, values.Length);
        GC.KeepAlive(this);
    }

    /// <summary>The elements as a host array of float32.</summary>
    public float[] ToArray()
    {
        float[] values = new float[checked((int)Count)];
        CopyTo(values);
        return values;
    }

    /// <summary>Copies host bytes in as they are, beginning at byte <paramref name="offset"/> of the data.</summary>
    public void CopyBytesFrom(ReadOnlySpan<byte> bytes, long offset = 0)
    {
        if (offset < 0 || bytes.Length > Bytes - offset) throw new ArgumentOutOfRangeException(nameof(offset));
        bytes.CopyTo(new Span<byte>(Data + offset, bytes.Length));
        GC.KeepAlive(this);
    }

    /// <summary>Copies the raw data to the host, beginning at byte <paramref name="offset"/> of the data.</summary>
    public void CopyBytesTo(Span<byte> bytes, long offset = 0)
    {
        if (offset < 0 || bytes.Length > Bytes - offset) throw new ArgumentOutOfRangeException(nameof(offset));
        new ReadOnlySpan<byte>(Data + offset, bytes.Length).CopyTo(bytes);
        GC.KeepAlive(this);
    }

    /// <summary>This tensor if it already has the type, otherwise a converted copy.</summary>
    public Tensor To(DType type)
    {
        if (type == Type) return this;
        var copy = Allocate(type, Shape);
        copy.CopyFrom(this);
        return copy;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Type} {Describe(Shape)}";

    internal static long CountOf(ReadOnlySpan<int> shape)
    {
        long count = 1;
        foreach (int size in shape)
        {
            if (size < 0) throw new GlmException($"a tensor cannot have the shape {Describe(shape)}");
            count = checked(count * size);
        }
        return count;
    }

    internal static string Describe(ReadOnlySpan<int> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    /// <summary>This tensor, whose elements are to be read in the order of its shape.</summary>
    /// <exception cref="InvalidOperationException">It is packed.</exception>
    internal Tensor RowOrder() => IsPacked ? throw new InvalidOperationException($"{this} is packed: it can only be multiplied with, and its rows looked up") : this;

    private void Require(long count)
    {
        RowOrder();
        if (count != Count) throw new ArgumentException($"{count} values do not fill a tensor of {Count}");
    }
}
