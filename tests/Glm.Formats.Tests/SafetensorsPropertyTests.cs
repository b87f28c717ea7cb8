using FsCheck;
using FsCheck.Fluent;
using Glm.Tensors;

namespace Glm.Formats.Tests;

/// <summary>Damaged files are refused with a reason: never another exception, never memory for a length that nobody checked.</summary>
public sealed class SafetensorsPropertyTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("glm-formats").FullName;
    private readonly byte[] _whole;

    public SafetensorsPropertyTests()
    {
        SafetensorsWriter.Write(Target, [("a", Tensor.Zeros(DType.Float32, 3, 5)), ("b", Tensor.Zeros(DType.Float16, 7)), ("c", Tensor.Zeros(DType.Int8, 2, 1, 3))],
            new Dictionary<string, string> { ["key"] = "väl" });
        _whole = File.ReadAllBytes(Target);
    }

    private string Target => Path.Combine(_folder, "a.safetensors");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Every_truncation_is_refused()
    {
        for (int length = 0; length < _whole.Length; length++)
        {
            File.WriteAllBytes(Target, _whole[..length]);
            Assert.Throws<GlmException>(() => SafetensorsFile.Open(Target));
        }
    }

    [Fact]
    public void Changed_bytes_give_a_file_or_a_reason()
    {
        var change = ArbMap.Default.GeneratorFor<byte>().Zip(Gen.Choose(0, _whole.Length - 1));
        Check.QuickThrowOnFailure(Prop.ForAll(change.NonEmptyListOf().ToArbitrary(), changes =>
        {
            byte[] bytes = [.. _whole];
            foreach (var (value, at) in changes) bytes[at] = value;
            return ReadsOrRefuses(bytes);
        }));
    }

    [Fact]
    public void Changed_digits_give_a_file_or_a_reason()
    {
        int[] digits = [.. Enumerable.Range(8, _whole.Length - 8).Where(i => char.IsAsciiDigit((char)_whole[i]))];
        var change = Gen.Choose(0, digits.Length - 1).Zip(Gen.Elements("0123456789-.eE[]{},\": "u8.ToArray()));
        Check.QuickThrowOnFailure(Prop.ForAll(change.NonEmptyListOf().ToArbitrary(), changes =>
        {
            byte[] bytes = [.. _whole];
            foreach (var (at, value) in changes) bytes[digits[at]] = value;
            return ReadsOrRefuses(bytes);
        }));
    }

    [Fact]
    public void Any_bytes_give_a_file_or_a_reason() => Check.QuickThrowOnFailure(Prop.ForAll<byte[]>(ReadsOrRefuses));

    private bool ReadsOrRefuses(byte[] bytes)
    {
        File.WriteAllBytes(Target, bytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var file = SafetensorsFile.Open(Target);
            foreach (string name in file.Names) file[name].ToString();
        }
        catch (GlmException error)
        {
            Assert.DoesNotContain('\n', error.Message);
        }
        return GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20;
    }
}
