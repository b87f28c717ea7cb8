using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>A function of one number, and its derivative.</summary>
internal interface IActivation
{
    /// <summary>a(v).</summary>
    static abstract Vector512<float> Activation(Vector512<float> v);

    /// <summary>a(v) and its derivative.</summary>
    static abstract (Vector512<float> Activation, Vector512<float> Slope) WithSlope(Vector512<float> v);
}

/// <summary>The activations of feed-forward layers without a gate: y = a(z), dz = dy a'(z).</summary>
public static unsafe class ActivationOperation
{
    /// <summary>
    /// GELU in the form with the hyperbolic tangent (ChatGLM spec 2.2, 6.2, 8.2): x / 2 (1 + tanh u) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is
    /// x s with s = 1 / (1 + e^-2u).
    /// </summary>
    /// <remarks>The slope is s + 2 x s (1 - s) u'.</remarks>
    public static Tensor GeluTanh(this Context context, Tensor z) => Apply<TanhGelu>(context, z);

    /// <summary>max(0, z), whose slope at 0 is 0 (ChatGLM spec 7.2).</summary>
    public static Tensor Relu(this Context context, Tensor z) => Apply<Rectifier>(context, z);

    private static Tensor Apply<TActivation>(Context context, Tensor z) where TActivation : struct, IActivation
    {
        var y = context.New(z.Shape);
        context.ForRows(z.Rows, new ForwardBody<TActivation>(context, z, y));
        if (context.Recording) RecordBackward<TActivation>(context, z, y);
        return y;
    }

    private static void RecordBackward<TActivation>(Context context, Tensor z, Tensor y) where TActivation : struct, IActivation =>
        context.Record(y, z.RequiresGradient, () =>
        {
            var dz = context.GradientOf(z, out bool first);
            if (!first) throw new InvalidOperationException("the input of an activation has one consumer");
            context.ForRows(z.Rows, new BackwardBody<TActivation>(context, z, y.Gradient!, dz));
        });

    private readonly struct ForwardBody<TActivation>(Context context, Tensor z, Tensor y) : IRangeBody where TActivation : struct, IActivation
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = y.Columns;
            float* scratch = context.Scratch(worker, 2L * columns);
            for (long row = start; row < end; row++)
            {
                float* input = TensorRows.Read(z, row, scratch), target = TensorRows.Target(y, row, scratch + columns);
                for (int i = 0; i < columns; i += Vectors.Width)
                    Vectors.Store(TActivation.Activation(Vectors.Load(input + i, columns - i)), target + i, columns - i);
                TensorRows.Write(y, row, target);
            }
        }
    }

    private readonly struct BackwardBody<TActivation>(Context context, Tensor z, Tensor dy, Tensor dz) : IRangeBody where TActivation : struct, IActivation
    {
        public void Invoke(long start, long end, int worker)
        {
            int columns = dy.Columns;
            float* scratch = context.Scratch(worker, columns);
            for (long row = start; row < end; row++)
            {
                float* input = TensorRows.Read(z, row, scratch), upstream = dy.Floats + row * columns, gradient = dz.Floats + row * columns;
                for (int i = 0; i < columns; i += Vectors.Width)
                {
                    var slope = TActivation.WithSlope(Vectors.Load(input + i, columns - i)).Slope;
                    Vectors.Store(Vectors.Load(upstream + i, columns - i) * slope, gradient + i, columns - i);
                }
            }
        }
    }

    private readonly struct TanhGelu : IActivation
    {
        private const float TwiceFactor = 2 * 0.79788456f, Cubic = 0.044715f;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Activation(Vector512<float> v) => v * Share(v);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector512<float> Activation, Vector512<float> Slope) WithSlope(Vector512<float> v)
        {
            var s = Share(v);
            var inner = Vector512.Create(TwiceFactor) * Vector512.FusedMultiplyAdd(v * v, Vector512.Create(3 * Cubic), Vector512<float>.One);
            return (v * s, s * Vector512.FusedMultiplyAdd(v * inner, Vector512<float>.One - s, Vector512<float>.One));
        }

        /// <summary>s.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector512<float> Share(Vector512<float> v)
        {
            var twice = Vector512.Create(TwiceFactor) * v * Vector512.FusedMultiplyAdd(v * v, Vector512.Create(Cubic), Vector512<float>.One);
            return Vector512<float>.One / (Vector512<float>.One + VectorMath.Exp(-twice));
        }
    }

    private readonly struct Rectifier : IActivation
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Activation(Vector512<float> v) => Vector512.Max(v, Vector512<float>.Zero);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static (Vector512<float> Activation, Vector512<float> Slope) WithSlope(Vector512<float> v) =>
            (Activation(v), Vector512.ConditionalSelect(Vector512.GreaterThan(v, Vector512<float>.Zero), Vector512<float>.One, Vector512<float>.Zero));
    }
}
