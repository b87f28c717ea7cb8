namespace Glm.Tensors;

/// <summary>
/// What operations run in: the threads, the arena their outputs lie in, the type activations are stored in and, while training,
/// the tape. One context serves one micro-batch or one session at a time.
/// </summary>
/// <remarks>
/// Activations are stored in <see cref="ActivationType"/>; sums, gradients and the arithmetic inside an operation are float32. Where activations are
/// binary16, the gradient of each of them is rounded to binary16 as well, with overflow to infinity, when all its parts have been added up: what a loss
/// scale is for. Gradients of weights stay float32.
/// </remarks>
public sealed unsafe class Context
{
    /// <summary>Rows that are worth a thread of their own.</summary>
    private const int LeastRows = 4;

    private readonly Scratch[] _scratch;
    private Tape? _tape;

    /// <summary>A context over some threads.</summary>
    public Context(Workers workers, DType activationType = DType.Float32)
    {
        if (!activationType.IsFloat()) throw new ArgumentException("activations are floating-point numbers", nameof(activationType));
        Workers = workers;
        ActivationType = activationType;
        Arithmetic = ArithmeticOf(activationType);
        _scratch = new Scratch[workers.Threads];
        for (int i = 0; i < _scratch.Length; i++) _scratch[i] = new Scratch();
    }

    /// <summary>The threads that operations use.</summary>
    public Workers Workers { get; }

    /// <summary>Where outputs lie until <see cref="Reset"/>.</summary>
    public Arena Arena { get; } = new();

    /// <summary>How activations are stored.</summary>
    public DType ActivationType { get; }

    /// <summary>
    /// Bits of the integers that inputs of packed weights are turned into, each block of 32 inputs with its own scale: 8 or 16. By default 8 for block
    /// formats, whose convention it is, and 16 for weights quantised by output row, as the paper keeps activations at 16 bits.
    /// </summary>
    public int? InputBits { get; init; }

    /// <summary>How many signed bytes make up an input of a weight of this type.</summary>
    internal int InputPlanes(DType weight) => InputBits switch { 8 => 1, 16 => 2, _ => weight.IsBlock() ? 1 : 2 };

    /// <summary>How matrices are multiplied: where activations are bfloat16 and the processor multiplies such numbers, everything is rounded to them.</summary>
    internal Arithmetic Arithmetic { get; }

    internal static Arithmetic ArithmeticOf(DType activations) =>
        activations != DType.BFloat16 ? Arithmetic.Float32 : Isa.Extension switch
        {
            CodeExtension.Amx => Arithmetic.BFloat16Tiles,
            CodeExtension.BFloat16 => Arithmetic.BFloat16,
            _ => Arithmetic.Float32,
        };

    /// <summary>Whether operations are being recorded for a backward pass.</summary>
    public bool Recording => _tape is not null;

    /// <summary>Whether a step of training is under way, so that dropout drops: true from <see cref="Record()"/> to <see cref="Reset"/>.</summary>
    public bool Training { get; private set; }

    /// <summary>
    /// Key of the random numbers of dropout. Every operation that draws takes the next stream under this seed, so what is dropped
    /// depends on the seed and the order of operations alone.
    /// </summary>
    public ulong Seed { get; set; }

    /// <summary>The next random stream.</summary>
    internal ulong Stream { get; set; }

    /// <summary>
    /// What follows draws from streams that no other section has, whatever ran before it: sections of a model that run in several processes then drop what they would
    /// in one.
    /// </summary>
    /// <param name="section">Number of the section.</param>
    public void BeginSection(int section) => Stream = (ulong)section << 16;

    /// <summary>Gives back all activations and forgets the tape: the begin of a step.</summary>
    public void Reset()
    {
        _tape = null;
        Training = false;
        Stream = 0;
        Arena.Reset();
    }

    /// <summary>Begins to record for <see cref="Backward(Tensor, float)"/>.</summary>
    public void Record()
    {
        _tape = new Tape();
        Training = true;
    }

    /// <summary>
    /// Back-propagates from a scalar: afterwards every tensor with <see cref="Tensor.RequiresGradient"/> that the scalar depends on
    /// has its gradient added to <see cref="Tensor.Gradient"/>.
    /// </summary>
    /// <param name="loss">The scalar.</param>
    /// <param name="scale">Its weight, for example 1 / number of micro-batches.</param>
    public void Backward(Tensor loss, float scale = 1)
    {
        if (loss.Count != 1) throw new ArgumentException("back-propagation starts from a scalar", nameof(loss));
        Backward(loss, Tensor.From([scale], 1));
    }

    /// <summary>The same from any tensor, of which another process computed the float32 gradient.</summary>
    public void Backward(Tensor output, Tensor gradient)
    {
        var tape = _tape ?? throw new InvalidOperationException("nothing was recorded: call Record before the forward pass");
        if (gradient.Count != output.Count) throw new ArgumentException($"{gradient} is not the gradient of {output}", nameof(gradient));
        _tape = null;
        output.Gradient = gradient;
        tape.Run();
    }

    /// <summary>Host integers (ids, positions) as a tensor in the arena.</summary>
    public Tensor Integers(ReadOnlySpan<int> values)
    {
        var tensor = Arena.Allocate(DType.Int32, values.Length);
        values.CopyTo(new Span<int>(tensor.Ints, values.Length));
        return tensor;
    }

    /// <summary>Host numbers as a float32 tensor in the arena.</summary>
    public Tensor Floats(ReadOnlySpan<float> values, params ReadOnlySpan<int> shape)
    {
        var tensor = Arena.Allocate(DType.Float32, shape);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>An activation of this shape, not cleared.</summary>
    internal Tensor New(params ReadOnlySpan<int> shape) => Arena.Allocate(ActivationType, shape);

    /// <summary>
    /// Remembers how to go back through an operation, if anything it read wants a gradient. To be called from a method of its own, when
    /// <see cref="Recording"/>: what a lambda captures is allocated where the method begins, wanted or not.
    /// </summary>
    internal void Record(Tensor output, bool wanted, Action backward)
    {
        if (_tape is null || !wanted) return;
        output.RequiresGradient = true;
        _tape.Record(() =>
        {
            if (output.Gradient is not { } gradient) return;
            if (output.Type == DType.Float16) RoundToHalf(gradient);
            backward();
        });
    }

    /// <summary>Rounds float32 numbers to binary16 in their place.</summary>
    internal void RoundToHalf(Tensor values)
    {
        int columns = values.Columns;
        ForRows(values.Rows, new RoundBody(values.Floats, columns));
    }

    /// <summary>
    /// The gradient of a tensor, to be added to; <paramref name="first"/> says that it is new and must be written instead.
    /// </summary>
    internal Tensor GradientOf(Tensor tensor, out bool first)
    {
        first = tensor.Gradient is null;
        return tensor.Gradient ??= Arena.Allocate(DType.Float32, tensor.Shape);
    }

    /// <summary>Swaps the tape, for segments that are recomputed.</summary>
    internal Tape? SwapTape(Tape? tape)
    {
        var old = _tape;
        _tape = tape;
        return old;
    }

    /// <summary>Memory of one worker, at least this many floats, valid until the worker's next request.</summary>
    internal float* Scratch(int worker, long floats) => _scratch[worker].Values((nint)floats);

    /// <summary>Room for the packed operands of products that one worker computes alone.</summary>
    internal Scratch Packing(int worker) => _scratch[worker];

    /// <summary>Runs <paramref name="body"/>(first row, end row, worker) over blocks of rows on all threads; where rows are few, over smaller ones.</summary>
    internal void ForRows<TBody>(int rows, TBody body, int block = 32) where TBody : struct, IRangeBody
    {
        block = Math.Min(block, Math.Max(LeastRows, (rows + Workers.Threads - 1) / Workers.Threads));
        Workers.For((rows + block - 1) / block, new BlockBody<TBody>(rows, block, body));
    }

    /// <summary>The same for backward passes, which may allocate.</summary>
    internal void ForRows(int rows, Action<int, int, int> body, int block = 32) => ForRows(rows, new ActionBody(body), block);

    private readonly struct BlockBody<TBody>(int rows, int block, TBody body) : ILoopBody where TBody : struct, IRangeBody
    {
        public void Invoke(int item, int worker) => body.Invoke(item * block, Math.Min(rows, (item + 1) * block), worker);
    }

    private readonly struct RoundBody(float* values, int columns) : IRangeBody
    {
        public void Invoke(long start, long end, int worker) => Conversion.RoundToHalf(values + start * columns, (nint)((end - start) * columns), Isa.Current);
    }

    private readonly struct ActionBody(Action<int, int, int> action) : IRangeBody
    {
        public void Invoke(long start, long end, int worker) => action((int)start, (int)end, worker);
    }
}
