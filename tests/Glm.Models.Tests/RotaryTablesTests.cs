using Glm.Tensors;

namespace Glm.Models.Tests;

/// <summary>Tables of the rotary embedding against the original code.</summary>
public sealed class RotaryTablesTests
{
    public static TheoryData<string> Files => ReferenceModel.Files("glm130b-tiny", "rotary_*.safetensors");

    [Theory]
    [MemberData(nameof(Files))]
    public void Tables_are_the_originals(string name)
    {
        var file = ReferenceModel.Case(name);
        int size = file["cos.exact"].Columns, rows = file["cos.exact"].Rows;
        int[] positions = file.Find("positions", out _) ? file.Integers("positions") : [.. Enumerable.Range(0, rows)];
        foreach (var (mode, label) in new[] { (RotaryMode.Exact, "exact"), (RotaryMode.Fp16InverseFrequency, "fp16_inv_freq"), (RotaryMode.Fp16Table, "fp16_table") })
        {
            var tables = new RotaryTables(positions.Max() + 1, size, mode);
            // The angle of an unrounded frequency differs by an ulp, which position 2047 makes 1e-4.
            double tolerance = mode == RotaryMode.Fp16Table ? 0 : mode == RotaryMode.Exact ? 2e-4 : 1e-6;
            foreach (var (part, table) in new[] { ("cos", tables.Cos), ("sin", tables.Sin) })
                Close.Require($"{name}: {part}.{label}", file[$"{part}.{label}"].ToArray(), BothHalves(table, positions), tolerance);
        }
    }

    /// <summary>The inverse frequencies that spec 1.5 lists for the real head size, read off the angles of position 1.</summary>
    [Fact]
    public void Test_vectors_of_the_specification()
    {
        var tables = new RotaryTables(2048, 128, RotaryMode.Fp16Table);
        foreach (var (position, j, cos, sin) in new (int, int, ushort, ushort)[]
        {
            (1, 1, 0x392f, 0x3a18), (100, 1, 0x315f, 0xbbe3), (1000, 1, 0xa07e, 0xbc00), (1500, 1, 0xaa37, 0xbbfe),
            (2047, 1, 0x3beb, 0x3085), (2047, 3, 0xbbf4, 0xaeca), (777, 5, 0x2bec, 0x3bfc), (2047, 63, 0x3bc7, 0x337e),
        })
        {
            Assert.Equal((float)BitConverter.UInt16BitsToHalf(cos), tables.Cos.Slice(position, 1).ToArray()[j]);
            Assert.Equal((float)BitConverter.UInt16BitsToHalf(sin), tables.Sin.Slice(position, 1).ToArray()[j]);
        }
    }

    /// <summary>The original repeats the table for the second half of a head.</summary>
    private static float[] BothHalves(Tensor table, int[] positions) =>
        [.. positions.SelectMany(position => { float[] half = table.Slice(position, 1).ToArray(); return half.Concat(half); })];
}
