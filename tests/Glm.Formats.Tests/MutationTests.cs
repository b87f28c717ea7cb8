using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tensors;
using Glm.Tests;
using static Glm.Formats.Tests.TorchArchive;

namespace Glm.Formats.Tests;

/// <summary>
/// Small files of every kind, damaged at random: each is read, or refused with one reason that names it; never another exception, nor memory for a size that
/// nobody checked. 12,000 files, or 120,000 in the long run.
/// </summary>
public sealed class MutationTests : IDisposable
{
    private const int LargestAllocation = 2 << 20;

    /// <summary>Sizes and counts that break what trusts them, and characters that mean something to a reader.</summary>
    private static readonly long[] Values =
    [
        0, 1, 2, -1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, int.MaxValue, int.MinValue, uint.MaxValue, 1L << 32, long.MaxValue, long.MinValue, 100_000_000, 4L << 30, 1 << 25,
        '{', '}', '[', ']', '"', ':', ',', '0', '9', '-', '.', '(', 't', 'q', 'h', 'R', 'Q', 'c', 'b', 's', 'u', 'N', '\n', '/',
    ];

    /// <summary>What hostile files hold.</summary>
    private static readonly byte[][] Texts =
    [
        "cos\nsystem\n"u8.ToArray(), "cbuiltins\neval\n"u8.ToArray(), "ctorch\nFloatStorage\n"u8.ToArray(), "../../etc/passwd"u8.ToArray(), "\"a\":"u8.ToArray(), "__metadata__"u8.ToArray(),
        "PK\x01\x02"u8.ToArray(), "PK\x05\x06"u8.ToArray(), "GGUF"u8.ToArray(), "h\0h\0"u8.ToArray(), [0x85, 0x85, 0x85], [0xff, 0xfe], "1e999"u8.ToArray(), "general.alignment"u8.ToArray(),
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("glm-formats").FullName;

    private static int Tries => Environment.GetEnvironmentVariable("GLM_LONG") == "1" ? 20_000 : 2_000;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Safetensors()
    {
        SafetensorsWriter.Write(In("a"), [("a", Tensor.Zeros(DType.Float32, 3, 5)), ("b", Tensor.Zeros(DType.Float16, 7)), ("c", Tensor.Zeros(DType.Int8, 2, 1, 3))],
            new Dictionary<string, string> { ["key"] = "väl" });
        Damage("a", () => TensorStore.Open(In("a")));
    }

    [Fact]
    public void Index_of_shards()
    {
        SafetensorsWriter.Write(In("model-1.safetensors"), [("a", Tensor.Zeros(DType.Float32, 3)), ("b", Tensor.Zeros(DType.Float32, 3))]);
        SafetensorsWriter.Write(In("model-2.safetensors"), [("c", Tensor.Zeros(DType.Float32, 3))]);
        File.WriteAllText(In("model.safetensors.index.json"), """{"metadata": {"total_size": 36}, "weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}""");
        Damage("model.safetensors.index.json", () => TensorStore.Open(_folder));
    }

    [Fact]
    public void Gguf()
    {
        File.WriteAllBytes(In("a"), new RawGguf().Add("general.architecture", "chatglm").Add("general.alignment", 32u).Add("scores", new[] { 0.5f, -1f }).Add("tokens", new[] { "a", "bc" })
            .AddTensor("a", [1, 2, 3, 4, 5, 6], 2, 3).AddTensor("q", 2, new byte[36], 2, 32).AddTensor("k", 12, new byte[288], 2, 256).AddTensor("f", 6, new byte[22], 32).ToArray());
        Damage("a", () => TensorStore.Open(In("a")));
    }

    [Fact]
    public void Torch_archive()
    {
        TorchWriter.Write(In("a"), [new TensorEntry("w", DType.Float32, [2, 3], () => Tensor.Zeros(DType.Float32, 2, 3)), new TensorEntry("i", DType.Int64, [2], () => Tensor.Zeros(DType.Int64, 2))]);
        Damage("a", () => TensorStore.Open(In("a")));
    }

    /// <summary>The archive is whole, its pickle is not.</summary>
    [Fact]
    public void Torch_pickle()
    {
        byte[] shared = [.. Vector("0", 6), .. Op("q\x05")];
        byte[] pickle =
        [
            0x80, 2, .. Op("}q\0("), .. Text("model"), .. Dict(("w", shared), ("view", View("FloatStorage", "0", 6, 1, [2, 2], [1, 2])), ("same", Op("h\x05"))),
            .. Text("list"), .. Op("](K\x01h\x05M\x01\x02J\x01\x02\x03\u0004e"), .. Text("state"), .. Global("collections", "OrderedDict"), .. Op(")R}"), .. Text("_metadata"), .. Op("Nsb"), .. Op("u."),
        ];
        Damage(pickle, damaged => File.WriteAllBytes(In("a"), new TorchArchive().Storage("0", 1, 2, 3, 4, 5, 6).Add("data.pkl", damaged).ToArray()), () => TensorStore.Open(In("a")));
    }

    [Fact]
    public void Sat_checkpoint()
    {
        string folder = In("sat");
        TensorEntry Entry(int rank) => new("w", DType.Float16, [2, 2 + rank], () => Tensor.Zeros(DType.Float16, 2, 2 + rank));
        SatCheckpoint.Write(folder, "49300", [[Entry(0)], [Entry(1)]]);
        foreach (string file in new[] { "latest", "49300/mp_rank_01_model_states.pt" })
        {
            byte[] whole = File.ReadAllBytes(Path.Combine(folder, file));
            Damage(whole, damaged => File.WriteAllBytes(Path.Combine(folder, file), damaged), () => SatCheckpoint.Open(folder).Ranks[^1], Tries / 2);
            File.WriteAllBytes(Path.Combine(folder, file), whole);
        }
    }

    /// <summary>A header as long as its file of 4 GB, of which nothing but the length is written.</summary>
    [Fact]
    public void A_header_of_4_GB_is_refused_unread()
    {
        using (var stream = File.Create(In("a")))
        {
            stream.SetLength(4L << 30);
            byte[] length = new byte[9];
            BinaryPrimitives.WriteInt64LittleEndian(length, (4L << 30) - 8);
            length[8] = (byte)'{';
            stream.Write(length);
        }
        Assert.True(ReadsOrRefuses(() => TensorStore.Open(In("a"))));
        Assert.Contains("expected a header of at most 100000000 bytes", Assert.Throws<GlmException>(() => TensorStore.Open(In("a"))).Message);
    }

    private string In(string name) => Path.Combine(_folder, name);

    private void Damage(string file, Func<TensorStore> open) => Damage(File.ReadAllBytes(In(file)), damaged => File.WriteAllBytes(In(file), damaged), open);

    private void Damage(byte[] whole, Action<byte[]> write, Func<TensorStore> open, int? tries = null)
    {
        write(whole);
        foreach (string name in open().Names) Assert.NotNull(open()[name]);
        var mutation = Gen.Choose(0, 6).Zip(Gen.Choose(0, int.MaxValue - 1)).Zip(Gen.Choose(0, int.MaxValue - 1));
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(tries ?? Tries), Prop.ForAll(Gen.Choose(1, 4).SelectMany(count => mutation.ListOf(count)).ToArbitrary(), mutations =>
        {
            byte[] bytes = whole;
            foreach (var ((kind, at), value) in mutations) bytes = Mutated(bytes, kind, at, value);
            write(bytes);
            return ReadsOrRefuses(open);
        }));
    }

    private static byte[] Mutated(byte[] bytes, int kind, int position, int choice)
    {
        if (bytes.Length == 0) return bytes;
        int at = position % bytes.Length;
        byte[] copy = [.. bytes];
        switch (kind)
        {
            case 0:
                copy[at] = (byte)choice;
                return copy;
            case 1:
                copy[at] ^= (byte)(1 << choice % 8);
                return copy;
            case 2:
                byte[] number = new byte[8];
                BinaryPrimitives.WriteInt64LittleEndian(number, Values[choice % Values.Length]);
                number.AsSpan(0, Math.Min(1 << choice / 64 % 4, copy.Length - at)).CopyTo(copy.AsSpan(at));
                return copy;
            case 3:
                return copy[..at];
            case 4:
                return [.. copy[..at], .. Texts[choice % Texts.Length], .. copy[at..]];
            case 5:
                return [.. copy[..at], .. copy[Math.Min(copy.Length, at + 1 + choice % 16)..]];
            default:
                int from = choice % copy.Length;
                return [.. copy[..at], .. copy[from..Math.Min(copy.Length, from + 64)], .. copy[at..]];
        }
    }

    private bool ReadsOrRefuses(Func<TensorStore> open)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        Try(() =>
        {
            var store = open();
            foreach (string name in store.Names)
            {
                Assert.NotNull(store.FindInfo(name));
                Try(() => store[name].ToString());
            }
        });
        return GC.GetAllocatedBytesForCurrentThread() - before < LargestAllocation;
    }

    private void Try(Action read)
    {
        try
        {
            read();
        }
        catch (GlmException error)
        {
            Assert.StartsWith(_folder, error.Message);
            Assert.DoesNotContain('\n', error.Message);
        }
    }
}
