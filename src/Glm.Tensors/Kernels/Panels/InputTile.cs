using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Glm.Tensors;

/// <summary>
/// Inputs of a product with a packed weight, up to 16 rows of them, as integers: x = scale * q with a scale for every block of 32 inputs of a row.
/// <para>
/// With one plane, q is a signed byte and scale = max|x| / 127. With two planes, q is a 16-bit integer, scale = max|x| / 32639 and
/// q = 256 high + low, both signed bytes: the products of either plane are exact 32-bit integers, so inputs keep 16 bits.
/// </para>
/// <para>
/// A block lies together: for each row 32 bytes per plane, low plane first; then for each row the 32-bit integer -offset * (sum of q), which makes up
/// for the weights' being unsigned; then for each row the binary32 scale.
/// </para>
/// </summary>
internal readonly record struct InputTile(int Rows, int Planes)
{
    /// <summary>The most rows of a tile.</summary>
    public const int MaxRows = 16;

    private const int Inputs = PanelLayout.BlockInputs;

    public int RowBytes => Inputs * Planes;

    public int CorrectionsOffset => Rows * RowBytes;

    public int ScalesOffset => CorrectionsOffset + Rows * sizeof(int);

    public int BlockBytes => ScalesOffset + Rows * sizeof(float);

    /// <summary>
    /// Quantises one row of a tile. A row with a number that is not finite gets scales that are not, so that its results are not numbers.
    /// </summary>
    /// <param name="values">The row, binary32, <see cref="PanelLayout.Columns"/> long.</param>
    /// <param name="layout">The weight's layout, which says where blocks begin.</param>
    /// <param name="row">The row in the tile.</param>
    /// <param name="tile">The tile.</param>
    public unsafe void SetRow(float* values, in PanelLayout layout, int row, byte* tile)
    {
        float* padded = stackalloc float[Inputs];
        for (int segment = 0; segment < layout.Segments; segment++, values += layout.SegmentColumns)
        {
            int whole = layout.SegmentColumns / Inputs, rest = layout.SegmentColumns % Inputs;
            for (int block = 0; block < whole; block++, tile += BlockBytes)
                SetBlock(values + block * Inputs, layout.Offset, row, tile);
            if (rest == 0) continue;
            new Span<float>(padded, Inputs).Clear();
            Buffer.MemoryCopy(values + whole * Inputs, padded, Inputs * sizeof(float), rest * sizeof(float));
            SetBlock(padded, layout.Offset, row, tile);
            tile += BlockBytes;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private unsafe void SetBlock(float* values, int offset, int row, byte* block)
    {
        const float smallest = 1e-30f; // below it the inverse of a scale would overflow
        Vector512<float> first = Vector512.Load(values), second = Vector512.Load(values + 16);
        float largest = Vectors.Max(Vector512.Max(Vector512.Abs(first), Vector512.Abs(second))), levels = Planes == 1 ? 127 : 32639;
        bool vanishes = largest < smallest;
        Vector512<float> inverse = Vector512.Create(vanishes ? 0 : levels / largest);
        Vector512<int> a = Vector512.ConvertToInt32(Vector512.Round(first * inverse)), b = Vector512.ConvertToInt32(Vector512.Round(second * inverse));
        byte* bytes = block + row * RowBytes;
        Vector256<short> q0 = Narrow(a), q1 = Narrow(b);
        if (Planes == 1)
            Vector256.Narrow(q0, q1).Store((sbyte*)bytes);
        else
        {
            // The low byte as a signed one; the high byte makes up for it.
            Vector256<short> low0 = q0 << 8 >> 8, low1 = q1 << 8 >> 8;
            Vector256.Narrow(low0, low1).Store((sbyte*)bytes);
            Vector256.Narrow((q0 - low0) >> 8, (q1 - low1) >> 8).Store((sbyte*)bytes + Inputs);
        }
        *(int*)(block + CorrectionsOffset + row * sizeof(int)) = -offset * Vector512.Sum(a + b);
        *(float*)(block + ScalesOffset + row * sizeof(float)) = vanishes ? 0 : largest / levels;
    }

    private static Vector256<short> Narrow(Vector512<int> values) => Vector256.Narrow(values.GetLower(), values.GetUpper());
}
