using System.Runtime.InteropServices;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>How the numbers of a group become integers from -L to L, with L = 2^(bits - 1) - 1 (spec 6.1, 6.3).</summary>
public enum QuantizationScheme
{
    /// <summary>s = max|x| / L, q = round(x / s): symmetric, GLM-130B's.</summary>
    Absmax,

    /// <summary>s = (max - min) / 2L, z = round(min / s) + L, q = round(x / s) - z: asymmetric.</summary>
    ZeroPoint,
}

/// <summary>Which numbers of a matrix <c>[out, in]</c> have a scale in common.</summary>
public enum QuantizationAxis
{
    /// <summary>Those of an output.</summary>
    Row,

    /// <summary>Those of an input.</summary>
    Column,
}

/// <summary>A way to quantise a matrix, whether or not there is a kernel for it.</summary>
/// <param name="Scheme">How numbers become integers.</param>
/// <param name="Axis">What has a scale in common.</param>
/// <param name="Bits">Bits of an integer, 2 to 8.</param>
/// <param name="Group">So many numbers that follow one another on a row or column have a scale, the last ones perhaps fewer; null for all of it.</param>
public sealed record QuantizationMethod(QuantizationScheme Scheme, QuantizationAxis Axis, int Bits, int? Group = null)
{
    /// <summary>Bits that a matrix takes: integers, float16 scales, and zero points of as many bits as the integers.</summary>
    public double BitsOf(int rows, int columns)
    {
        var (lines, length) = Axis == QuantizationAxis.Row ? (rows, columns) : (columns, rows);
        double groups = (double)lines * ((length + (Group ?? length) - 1) / (Group ?? length));
        return ((double)rows * columns * Bits) + (groups * (16 + (Scheme == QuantizationScheme.ZeroPoint ? Bits : 0)));
    }
}

/// <summary>
/// The numbers that a quantised matrix stands for, as a dense matrix: what a method costs can be measured without a kernel for it. Arithmetic is the original's,
/// every step rounded to float16, so that absmax by row gives <see cref="Quantization"/>'s numbers to the bit.
/// </summary>
public static class FakeQuantization
{
    private const int BlockLines = 64;

    /// <summary>A float16 matrix of the numbers that <paramref name="weight"/> becomes.</summary>
    /// <param name="name">What to name in errors.</param>
    /// <param name="weight">A matrix <c>[out, in]</c> of a floating-point type.</param>
    /// <param name="method">How it is quantised.</param>
    /// <param name="workers">The threads to use.</param>
    /// <exception cref="GlmException">The method or the weights are impossible.</exception>
    public static Tensor Round(string name, Tensor weight, QuantizationMethod method, Workers workers)
    {
        if (method.Bits is < 2 or > 8 || method.Group < 1) throw new GlmException($"quantisation: expected 2 to 8 bits and groups of at least 1, found {method}");
        if (!weight.Type.IsFloat()) throw new GlmException($"{name}: expected floating-point weights to quantise, found {weight}");
        int rows = weight.Rows, columns = weight.Columns;
        bool byRow = method.Axis == QuantizationAxis.Row;
        var (lines, length) = byRow ? (rows, columns) : (columns, rows);
        Tensor source = weight.To(DType.Float16), result = Tensor.Allocate(DType.Float16, rows, columns);
        workers.For((lines + BlockLines - 1) / BlockLines, (block, _) =>
        {
            int start = block * BlockLines, count = Math.Min(BlockLines, lines - start);
            var numbers = new Half[count * length];
            if (byRow) source.CopyBytesTo(MemoryMarshal.AsBytes(numbers.AsSpan()), 2L * start * columns);
            else
                ForColumns(numbers, start, count, (piece, offset, line) =>
                {
                    source.CopyBytesTo(MemoryMarshal.AsBytes(piece), offset);
                    for (int i = 0; i < count; i++) numbers[(i * length) + line] = piece[i];
                });
            for (int line = 0; line < count; line++)
                for (int at = 0; at < length; at += method.Group ?? length)
                    Round(name, numbers.AsSpan((line * length) + at, Math.Min(method.Group ?? length, length - at)), method);
            if (byRow) result.CopyBytesFrom(MemoryMarshal.AsBytes(numbers.AsSpan()), 2L * start * columns);
            else
                ForColumns(numbers, start, count, (piece, offset, line) =>
                {
                    for (int i = 0; i < count; i++) piece[i] = numbers[(i * length) + line];
                    result.CopyBytesFrom(MemoryMarshal.AsBytes(piece), offset);
                });
        });
        return result;

        // What some columns have of each row.
        void ForColumns(Half[] numbers, int start, int count, Piece visit)
        {
            Span<Half> piece = stackalloc Half[count];
            for (int row = 0; row < rows; row++) visit(piece, 2 * (((long)row * columns) + start), row);
        }
    }

    private delegate void Piece(Span<Half> piece, long offset, int row);

    private static void Round(string name, Span<Half> group, QuantizationMethod method)
    {
        float limit = (1 << (method.Bits - 1)) - 1, low = float.PositiveInfinity, high = float.NegativeInfinity;
        foreach (var number in group)
        {
            if (!Half.IsFinite(number)) throw new GlmException($"{name}: expected weights that are finite in float16, found {number}");
            low = Math.Min(low, (float)number);
            high = Math.Max(high, (float)number);
        }
        bool hasZeroPoint = method.Scheme == QuantizationScheme.ZeroPoint;
        float scale = (float)(Half)(hasZeroPoint ? (high - low) / (2 * limit) : Math.Max(high, -low) / limit);
        if (scale == 0)
        {
            // A group of one number is its zero point; without one, nothing is left of it.
            if (!hasZeroPoint) group.Clear();
            return;
        }
        float zero = hasZeroPoint ? Nearest(low) + limit : 0;
        for (int i = 0; i < group.Length; i++) group[i] = (Half)((Math.Clamp(Nearest((float)group[i]) - zero, -limit, limit) + zero) * scale);

        float Nearest(float x) => MathF.Round((float)(Half)(x / scale), MidpointRounding.ToEven);
    }
}
